#include "io/model_file/set_weight_source.hpp"
#include "io/model_file/set_writer.hpp"
#include "io/model_file/tensor_writer.hpp"
#include "kernels/error.hpp"
#include "tests/io/weight_source_fixture.hpp"

#include <gmock/gmock.h>

#include <array>
#include <filesystem>
#include <fstream>

namespace tesserank::io {
namespace {

using kernels::DType;
using model::Region;
using ::testing::HasSubstr;

class Set : public WeightSourceTest {
  protected:
    static model::HeldTensor held(std::size_t rows, std::size_t cols,
                                  std::vector<Region> const& cut) {
        model::HeldTensor tensor{rows, cols, {}};
        for (auto const& region : cut) {
            tensor.regions.emplace_back();
            if (region.rows.count > 0) tensor.regions.back().push_back(region);
        }
        return tensor;
    }
    /// Rows of each rank in each half of the tensor.
    model::HeldTensor held_in_halves() const {
        auto tensor = held(60, 50, by_rows(30, 50));
        for (auto& regions : tensor.regions) {
            if (regions.empty()) continue;
            auto second = regions.front();
            second.rows.begin += 30;
            regions.push_back(second);
        }
        return tensor;
    }
    /// "rows" and "cols" are cut, "halves" in two parts, "table" has a dimension of 1 in front,
    /// "last" is on the last rank alone, "whole" is everywhere.
    SetPlan plan() const {
        auto const last = regions([&](int rank) {
            return rank == world.size() - 1 ? Region{{0, 11}, {0, 1}} : Region{};
        });
        return {.ranks = world.size(),
                .placement = "shard",
                .plan = "a plan",
                .tensors = {{"rows", held(300, 300, by_rows(300, 300))},
                            {"cols", held(200, 400, by_cols(200, 400))},
                            {"halves", held_in_halves()},
                            {"table", held(20, 30, by_cols(20, 30))},
                            {"last", held(11, 1, last)},
                            {"whole", held(30, 7, everywhere(30, 7))}}};
    }

    void write(std::string const& path, SetPlan const& set_plan, int seed = 0,
               Existing existing = Existing::keep) {
        SetWriter writer(path, set_plan, existing);
        TensorWriter out(writer.files());
        writer.add_document("config", "{}");
        // In pieces that end within rows.
        auto const add = [&](std::string const& name, DType dtype,
                             std::vector<std::size_t> const& shape, int tensor_seed) {
            auto const bytes = pattern(bytes_of_shape(shape, dtype), tensor_seed);
            auto const places = writer.add_tensor(name, dtype, shape);
            out.begin(places, dtype, set_plan.cut_of(name));
            for (std::size_t done = 0; done < bytes.size(); done += 1234) {
                out.append(std::span(bytes).subspan(
                    done, std::min<std::size_t>(1234, bytes.size() - done)));
            }
            writer.set_checksums(name, places, out.end());
        };
        add("rows", DType::bf16, {300, 300}, seed + 1);
        add("cols", DType::f16, {200, 400}, seed + 2);
        add("halves", DType::bf16, {60, 50}, seed + 6);
        add("table", DType::bf16, {1, 20, 30}, seed + 7);
        add("last", DType::bf16, {11}, seed + 3);
        add("whole", DType::bf16, {30, 7}, seed + 4);
        add("unknown", DType::bf16, {5}, seed + 5);
        writer.commit({{"source", std::to_string(seed)}}, existing);
    }

    std::string shared_set() {
        auto const path = shared_path();
        parallel::agree(world, [&] {
            if (world.rank() == 0) write(path, plan());
        });
        return path;
    }

    /// The message of an InputError that opening the set gives on every rank.
    std::string refusal(std::string const& path) {
        std::string message;
        try {
            SetWeightSource const source(open_model(path, world), world, *backend);
        } catch (kernels::InputError const& error) {
            EXPECT_NE(dynamic_cast<parallel::Agreed const*>(&error), nullptr);
            message = error.what();
        }
        EXPECT_EQ(message, world.broadcast_text(message, 0));
        return message;
    }

    /// The whole tensors, for want().
    static ModelIndex whole_index(ModelIndex const& index) {
        ModelIndex whole = index;
        whole.tensors = index.all_tensors();
        return whole;
    }
};

TEST_F(Set, EveryRankGetsItsRegionAndTheFilesAreReadOnce) {
    auto const path = shared_set();
    auto const index = open_model(path, world);
    auto const whole = whole_index(index);
    auto const last = regions([&](int rank) {
        return rank == world.size() - 1 ? Region{{0, 11}, {0, 1}} : Region{};
    });
    auto const first_half = by_rows(30, 50);
    auto second_half = first_half;
    for (auto& region : second_half) region.rows.begin += 30;
    for (auto const mode : {LoadMode::cooperative, LoadMode::direct}) {
        SetWeightSource source(index, world, *backend, {.mode = mode, .staging_bytes = 1000});
        EXPECT_EQ(source.tensors().size(), 7U);
        EXPECT_EQ(source.tensors().at("cols").shape, (std::vector<std::size_t>{200, 400}));
        load_and_compare(
            source,
            {want(whole, "rows", 1, by_rows(300, 300), 3),
             want(whole, "cols", 2, by_cols(200, 400)), want(whole, "last", 3, last),
             want(whole, "halves", 6, second_half), want(whole, "halves", 6, first_half),
             want(whole, "table", 7, by_cols(20, 30)), want(whole, "whole", 4, by_rows(30, 7)),
             want(whole, "whole", 4, everywhere(30, 7), 1)});
        auto const read = world.all_sum(static_cast<long long>(source.report().bytes_read));
        auto const copies = mode == LoadMode::direct ? world.size() : 1;
        EXPECT_EQ(read, 2 * (300 * 300 + 200 * 400 + 60 * 50 + 20 * 30 + 11 + 30 * 7 * copies));
    }
}

TEST_F(Set, OtherRegionsThanThePlansAreRefused) {
    auto const index = open_model(shared_set(), world);
    SetWeightSource source(index, world, *backend);
    auto const wanted = want(whole_index(index), "cols", 2, everywhere(200, 400));
    EXPECT_THROW(load_and_compare(source, {wanted}), kernels::InputError);
}

TEST_F(Set, WhatIsMissingSwappedOrOfAnotherSetIsRefused) {
    auto const path = shared_set();
    auto const last = path + "/" + set_file_name(SetIndex::file_of_rank(world.size() - 1));
    auto const on_rank_0 = [&](auto const& work) {
        parallel::agree(world, [&] {
            if (world.rank() == 0) work();
        });
    };
    on_rank_0([&] { std::filesystem::rename(last, path + "/kept"); });
    EXPECT_THAT(refusal(path), HasSubstr("is missing, expected the file of rank"));
    on_rank_0([&] {
        auto other = plan();
        other.plan = "another plan";
        write(path + "-other", other);
        std::filesystem::copy(path + "-other/" + std::filesystem::path(last).filename().string(),
                              last);
    });
    EXPECT_THAT(refusal(path), HasSubstr("is of a set for another plan"));
    on_rank_0([&] {
        write(path + "-model", plan(), 10);
        std::filesystem::copy(path + "-model/" + std::filesystem::path(last).filename().string(),
                              last, std::filesystem::copy_options::overwrite_existing);
    });
    EXPECT_THAT(refusal(path), HasSubstr("is of another model"));
    on_rank_0([&] { std::filesystem::rename(path + "/shared.h5", last); });
    EXPECT_THAT(refusal(path), HasSubstr("shared.h5: is missing"));
}

TEST_F(Set, AnotherNumberOfRanksIsRefused) {
    auto const path = shared_path();
    parallel::agree(world, [&] {
        if (world.rank() != 0) return;
        auto two_more = plan();
        two_more.ranks += 2;
        for (auto& [name, tensor] : two_more.tensors)
            tensor.regions.resize(tensor.regions.size() + 2);
        write(path, two_more);
    });
    auto const message = refusal(path);
    EXPECT_THAT(message, HasSubstr("for " + std::to_string(world.size() + 2) + " ranks, but"));
    EXPECT_THAT(message, HasSubstr("--ranks " + std::to_string(world.size())));
}

TEST_F(Set, ADamagedByteIsEveryRanksError) {
    auto const path = shared_set();
    auto const index = open_model(path, world);
    auto const last = open_part(*index.set, SetIndex::file_of_rank(world.size() - 1));
    world.barrier();
    parallel::agree(world, [&] {
        if (world.rank() != 0) return;
        std::fstream file(last.path, std::ios::in | std::ios::out | std::ios::binary);
        auto const at = static_cast<std::streamoff>(find(last, "last").offset + 5);
        file.seekg(at);
        auto const byte = file.get();
        file.seekp(at);
        file.put(static_cast<char>(byte ^ 1));
    });
    SetWeightSource source(index, world, *backend);
    auto const on_last = regions([&](int rank) {
        return rank == world.size() - 1 ? Region{{0, 11}, {0, 1}} : Region{};
    });
    std::string message;
    try {
        load_and_compare(source, {want(whole_index(index), "last", 3, on_last)});
    } catch (kernels::InputError const& error) {
        message = error.what();
    }
    EXPECT_THAT(message, HasSubstr("tensor last, rows 0 to 10"));
    EXPECT_THAT(message, HasSubstr(last.path));
}

TEST_F(Set, IsReplacedOnlyWhenAsked) {
    auto const path = shared_path();
    if (world.rank() != 0) return;
    write(path, plan());
    EXPECT_THROW(write(path, plan()), kernels::InputError);
    // Of a larger set, and of one that was not finished.
    std::ofstream(path + "/rank77.h5") << "old";
    std::ofstream(path + "/rank78.h5.partial") << "old";
    write(path, plan(), 1, Existing::replace);
    EXPECT_EQ(read_model_index(path).sources.front().sha256, "1");
    EXPECT_FALSE(std::filesystem::exists(path + "/rank77.h5"));
    EXPECT_FALSE(std::filesystem::exists(path + "/rank78.h5.partial"));
    std::ofstream(path + "/notes.txt") << "mine";
    EXPECT_THROW(write(path, plan(), 2, Existing::replace), kernels::InputError);
    EXPECT_EQ(read_model_index(path).sources.front().sha256, "1");
}

TEST_F(Set, NothingIsLeftOfASetThatIsNotFinished) {
    auto const path = shared_path();
    if (world.rank() != 0) return;
    {
        SetWriter writer(path, plan(), Existing::keep);
        EXPECT_TRUE(std::filesystem::exists(path + "/set.json.partial"));
        EXPECT_THROW(SetWriter(path, plan(), Existing::keep), kernels::InputError) << "locked";
        EXPECT_THROW(writer.add_tensor("rows", DType::bf16, {300, 301}), kernels::InputError);
    }
    EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace tesserank::io
