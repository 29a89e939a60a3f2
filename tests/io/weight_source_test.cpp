#include "io/model_file/weight_source.hpp"

#include "io/model_file/format.hpp"
#include "kernels/error.hpp"
#include "tests/io/weight_source_fixture.hpp"

#include <gmock/gmock.h>

#include <array>
#include <fstream>

namespace tesserank::io {
namespace {

using kernels::DType;
using model::Region;
using ::testing::HasSubstr;

class WeightSource : public WeightSourceTest {};

/// Every way to load gives the same.
constexpr std::array all_modes{LoadMode::cooperative, LoadMode::direct, LoadMode::automatic};

TEST_F(WeightSource, EveryRankGetsItsRegion) {
    auto const index = open_model(small_model(), world);
    for (std::size_t const staging :
         {std::size_t{1}, std::size_t{100'000}, LoadOptions::most_staging_bytes}) {
        auto const empty = regions([](int) { return Region{}; });
        auto const last_rank_only = regions([&](int rank) {
            return rank == world.size() - 1 ? Region{{5, 100}, {3, 17}} : Region{};
        });
        auto const overlapping = regions([](int rank) {
            return Region{{static_cast<std::size_t>(rank) * 8, 150}, {0, 400}};
        });
        for (auto const mode : all_modes) {
            Hdf5WeightSource source(index, world, *backend,
                                    {.mode = mode, .staging_bytes = staging});
            load_and_compare(
                source,
                {want(index, "t3", 3, overlapping), want(index, "t0", 0, by_rows(30, 7)),
                 want(index, "t1", 1, by_cols(300, 300)),
                 want(index, "t1", 1, by_rows(300, 300), 5),
                 want(index, "t2", 2, everywhere(11, 1)), want(index, "t2", 2, by_rows(11, 1)),
                 want(index, "t1", 1, last_rank_only, 1), want(index, "t0", 0, empty)});
        }
    }
}

/// Three tensors of several blocks each, of which ranks want rows, columns and all.
class LargeWeightSource : public WeightSource {
  protected:
    static constexpr std::size_t staging = std::size_t{5} << 20;

    ModelIndex large_model() {
        auto const path = shared_path();
        parallel::agree(world, [&] {
            if (world.rank() != 0) return;
            ModelFileWriter writer(path);
            writer.add_document("config", "{}");
            write_tensor(writer, "rows", DType::bf16, {5000, 1500}, 1);
            write_tensor(writer, "one_long_row", DType::f32, {1, 3'000'001}, 2);
            write_tensor(writer, "whole", DType::bf16, {5000, 1500}, 3);
            writer.commit({});
        });
        return open_model(path, world);
    }
    std::vector<Wanted> wanted(ModelIndex const& index) const {
        return {want(index, "rows", 1, by_rows(5000, 1500)),
                want(index, "rows", 1, by_cols(5000, 1500), 3),
                want(index, "one_long_row", 2, by_cols(1, 3'000'001)),
                want(index, "rows", 1, everywhere(5000, 1500)),
                want(index, "whole", 3, everywhere(5000, 1500)),
                want(index, "whole", 3, everywhere(5000, 1500), 3)};
    }
};

TEST_F(LargeWeightSource, TensorsOfManyBlocksArriveWhole) {
    auto const index = large_model();
    for (auto const mode : all_modes) {
        Hdf5WeightSource source(index, world, *backend, {.mode = mode, .staging_bytes = staging});
        load_and_compare(source, wanted(index));
        EXPECT_LE(source.report().most_held_bytes,
                  4 * std::max(staging, most_block_bytes * static_cast<std::size_t>(world.size())));
    }
}

TEST_F(LargeWeightSource, AutomaticLoadingGoesOnAsTheRuleSays) {
    auto const index = large_model();
    for (bool const direct : {false, true}) {
        int asked = 0;
        LoadOptions options{.mode = LoadMode::automatic, .staging_bytes = most_block_bytes};
        options.prefers_direct = [&](LoadEstimate const& slowest) {
            ++asked;
            EXPECT_GT(slowest.cooperative_seconds, 0.0);
            EXPECT_GT(slowest.direct_seconds, 0.0);
            return direct;
        };
        Hdf5WeightSource source(index, world, *backend, options);
        load_and_compare(source, wanted(index));
        EXPECT_EQ(asked, world.size() > 1 ? 1 : 0);
        auto const read = world.all_sum(static_cast<long long>(source.report().bytes_read));
        long long weights = 0;
        for (auto const& tensor : index.tensors) weights += static_cast<long long>(tensor.bytes);
        // What is whole everywhere is read by everyone, once the rule says so.
        EXPECT_EQ(read > weights, direct && world.size() > 1);
        EXPECT_GE(read, weights);
    }
}

TEST_F(LargeWeightSource, DirectLoadingSendsNothing) {
    auto const index = large_model();
    Hdf5WeightSource source(index, world, *backend, {.mode = LoadMode::direct});
    load_and_compare(source, {want(index, "whole", 3, everywhere(5000, 1500))});
    EXPECT_EQ(source.report().bytes_read, find(index, "whole").bytes);
    EXPECT_EQ(source.report().bytes_sent, 0U);
}

/// Bytes that this process has asked the system to read so far.
std::size_t bytes_asked_for() {
    std::ifstream file("/proc/self/io");
    std::string key;
    std::size_t value = 0;
    while (file >> key >> value) {
        if (key == "rchar:") return value;
    }
    return 0;
}

TEST_F(WeightSource, TheFileIsReadOnceInTheWholeJob) {
    auto const path = shared_path();
    constexpr std::size_t rows = 4000;
    constexpr std::size_t cols = 512;
    std::vector<std::string> const names{"model.a", "model.b", "model.c", "model.d"};
    parallel::agree(world, [&] {
        if (world.rank() != 0) return;
        ModelFileWriter writer(path);
        writer.add_document("config", "{}");
        for (auto const& name : names) write_tensor(writer, name, DType::f32, {rows, cols}, 1);
        writer.commit({});
    });
    world.barrier();
    auto const before = bytes_asked_for();
    auto const index = open_model(path, world);
    Hdf5WeightSource source(index, world, *backend);
    load_and_compare(source, {want(index, names[0], 1, by_rows(rows, cols)),
                              want(index, names[1], 1, by_cols(rows, cols)),
                              want(index, names[2], 1, everywhere(rows, cols)),
                              want(index, names[3], 1, by_rows(rows, cols)),
                              want(index, names[3], 1, by_cols(rows, cols))});
    auto const asked = bytes_asked_for() - before;
    auto const counted = world.all_sum(static_cast<long long>(source.report().bytes_read));
    auto const measured = world.all_sum(static_cast<long long>(asked));
    EXPECT_EQ(counted, static_cast<long long>(names.size() * rows * cols * 4));
    EXPECT_LE(static_cast<double>(measured), 1.02 * static_cast<double>(index.file_bytes));
    EXPECT_GT(source.report().bytes_read, 0U);
    RecordProperty("measured_over_file", std::to_string(static_cast<double>(measured) /
                                                        static_cast<double>(index.file_bytes)));
}

TEST_F(WeightSource, BlocksThatNobodyNeedsAreNotRead) {
    auto const index = open_model(small_model(), world);
    Hdf5WeightSource source(index, world, *backend);
    load_and_compare(source, {want(index, "t0", 0, by_rows(30, 7))});
    EXPECT_EQ(world.all_sum(static_cast<long long>(source.report().bytes_read)), 30 * 7 * 4);
}

TEST_F(WeightSource, ADamagedByteIsEveryRanksError) {
    auto const path = small_model();
    auto const index = open_model(path, world);
    parallel::agree(world, [&] {
        if (world.rank() != 0) return;
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(find(index, "t1").offset + 12345));
        file.put('\x55');
    });
    for (auto const mode : all_modes) {
        Hdf5WeightSource source(index, world, *backend, {.mode = mode});
        load_and_compare(source, {want(index, "t0", 0, by_rows(30, 7))});
        std::string message;
        try {
            load_and_compare(source, {want(index, "t3", 3, by_rows(200, 400)),
                                      want(index, "t1", 1, by_rows(300, 300))});
        } catch (kernels::InputError const& error) {
            message = error.what();
            EXPECT_NE(dynamic_cast<parallel::Agreed const*>(&error), nullptr);
        }
        EXPECT_THAT(message, HasSubstr("tensor t1, rows 0 to 299"));
        EXPECT_THAT(message, HasSubstr(path));
        EXPECT_EQ(message, world.broadcast_text(message, 0));
    }
}

TEST_F(WeightSource, AShorterFileIsEveryRanksError) {
    auto const path = small_model();
    auto const index = open_model(path, world);
    Hdf5WeightSource source(index, world, *backend);
    world.barrier();
    if (world.rank() == 0) std::filesystem::resize_file(path, index.file_bytes / 2);
    world.barrier();
    EXPECT_THROW(load_and_compare(source, {want(index, "t3", 3, by_rows(200, 400))}),
                 kernels::InputError);
    EXPECT_THROW(Hdf5WeightSource(index, world, *backend), kernels::InputError);
}

TEST_F(WeightSource, AnotherFileOnOneRankIsEveryRanksError) {
    auto index = open_model(small_model(), world);
    TemporaryFolder const own;
    if (world.rank() == world.size() - 1) index.path = own.write("m.h5", "another");
    std::string message;
    try {
        Hdf5WeightSource const source(index, world, *backend);
    } catch (kernels::InputError const& error) {
        message = error.what();
    }
    EXPECT_THAT(message, HasSubstr("has 7 bytes here"));
    EXPECT_THAT(message, HasSubstr("every rank must see the same file"));
    world.barrier();
}

TEST_F(WeightSource, WrongRequestsAreEveryRanksError) {
    auto const index = open_model(small_model(), world);
    Hdf5WeightSource source(index, world, *backend);
    auto missing = want(index, "t0", 0, by_rows(30, 7));
    missing.request.tensor = "no.such";
    EXPECT_THROW(load_and_compare(source, {missing}), kernels::InputError);
    auto regionless = want(index, "t0", 0, by_rows(30, 7));
    regionless.request.regions.clear();
    EXPECT_THROW(load_and_compare(source, {regionless}), kernels::LogicError);
    auto outside = want(index, "t0", 0, by_rows(30, 7));
    outside.request.regions.back().rows.begin = 31;
    outside.request.regions.back().rows.count = 1;
    EXPECT_THROW(load_and_compare(source, {outside}), kernels::LogicError);
    // Only the last rank's destination is wrong.
    auto wrong = want(index, "t0", 0, everywhere(30, 7));
    if (world.rank() == world.size() - 1) wrong.request.destination.rows = 29;
    EXPECT_THROW(load_and_compare(source, {wrong}), kernels::LogicError);
}

TEST_F(WeightSource, AllRanksSeeTheSameIndex) {
    auto const path = small_model();
    auto const index = open_model(path, world);
    auto const own = read_model_index(path);
    EXPECT_EQ(index.documents, own.documents);
    EXPECT_EQ(index.created_by, own.created_by);
    ASSERT_EQ(index.sources.size(), 1U);
    EXPECT_EQ(index.sources[0].name, "source");
    ASSERT_EQ(index.tensors.size(), own.tensors.size());
    for (std::size_t i = 0; i < own.tensors.size(); ++i) {
        EXPECT_EQ(index.tensors[i].name, own.tensors[i].name);
        EXPECT_EQ(index.tensors[i].shape, own.tensors[i].shape);
        EXPECT_EQ(index.tensors[i].offset, own.tensors[i].offset);
        EXPECT_EQ(index.tensors[i].checksums, own.tensors[i].checksums);
    }
    Hdf5WeightSource const source(index, world, *backend);
    EXPECT_EQ(source.tensors().size(), 4U);
    EXPECT_EQ(source.tensors().at("t3").dtype, DType::f16);
    world.barrier();
}

TEST_F(WeightSource, AMissingFileIsEveryRanksError) {
    EXPECT_THROW(open_model("/no/such/model.h5", world), kernels::InputError);
}

}  // namespace
}  // namespace tesserank::io
