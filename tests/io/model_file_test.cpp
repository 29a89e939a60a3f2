#include "io/input_file.hpp"
#include "io/model_file/model_index.hpp"
#include "io/model_file/tensor_writer.hpp"
#include "io/model_file/writer.hpp"
#include "kernels/error.hpp"
#include "tests/io/model_file_fixture.hpp"
#include "tests/io/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <thread>

namespace tesserank::io {
namespace {

using kernels::DType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string const config = R"({"model_type":"x"})";

TEST(ModelFile, KeepsEverythingThatWasWritten) {
    TemporaryFolder const folder;
    auto const path = folder.path("m.h5");
    {
        ModelFileWriter writer(path);
        writer.add_document("config", config);
        writer.add_document("chat_template", "{{ caf\xc3\xa9 }}\n");
        write_tensor(writer, "a.weight", DType::f32, {3, 5}, 1);
        write_tensor(writer, "a.bias", DType::bf16, {7}, 2);
        write_tensor(writer, "scalar", DType::f16, {}, 3);
        write_tensor(writer, "empty", DType::f32, {0, 4}, 4);
        write_tensor(writer, "large", DType::bf16, {1500, 2, 2048}, 5);
        writer.commit({{"x.safetensors", std::string(64, 'a')}, {"config.json", "b"}});
    }
    auto const index = read_model_index(path);
    EXPECT_THAT(index.created_by, HasSubstr("tesserank "));
    ASSERT_EQ(index.sources.size(), 2U);
    EXPECT_EQ(index.sources[0].name, "x.safetensors");
    EXPECT_EQ(index.sources[0].sha256, std::string(64, 'a'));
    EXPECT_EQ(index.sources[1].sha256, "b");
    EXPECT_EQ(*index.find_document("config"), config);
    EXPECT_EQ(*index.find_document("chat_template"), "{{ caf\xc3\xa9 }}\n");
    EXPECT_EQ(index.find_document("tokenizer"), nullptr);
    ASSERT_EQ(index.tensors.size(), 5U);
    InputFile const file(path);
    EXPECT_EQ(index.file_bytes, file.bytes());
    for (auto const& [name, seed, shape] :
         std::vector<std::tuple<std::string, int, std::vector<std::size_t>>>{
             {"a.weight", 1, {3, 5}},
             {"a.bias", 2, {7}},
             {"scalar", 3, {}},
             {"empty", 4, {0, 4}},
             {"large", 5, {1500, 2, 2048}}}) {
        auto const& tensor = find(index, name);
        EXPECT_EQ(tensor.shape, shape);
        std::vector<std::byte> bytes(tensor.bytes);
        if (tensor.bytes > 0) file.read(tensor.offset, bytes);
        EXPECT_EQ(bytes, pattern(tensor.bytes, seed)) << name;
    }
    EXPECT_EQ(find(index, "large").offset % 4096, 0U);
    EXPECT_EQ(find(index, "large").checksums.size(), 3U);
    EXPECT_EQ(find(index, "large").cols(), 4096U);
    EXPECT_EQ(find(index, "scalar").rows(), 1U);
}

TEST(ModelFile, TensorsComeInTheOrderOfTheirBytes) {
    TemporaryFolder const folder;
    auto const index = read_model_index(write_small_model(folder.path("m.h5")));
    for (std::size_t i = 1; i < index.tensors.size(); ++i) {
        auto const& before = index.tensors[i - 1];
        EXPECT_LE(before.offset + before.bytes, index.tensors[i].offset);
    }
}

TEST(ModelFile, ManyChecksumsFitTheirAttribute) {
    // More than 64 KiB of checksums: HDF5's old object headers could not hold them. The bytes are
    // never written, which leaves a hole in the file.
    TemporaryFolder const folder;
    auto const path = folder.path("m.h5");
    write_raw_model(path, [](hid_t file) {
        std::vector<std::uint64_t> const checksums(10000, 7);
        add_raw_tensor(file, "huge", H5T_IEEE_F32LE, {10000, 1 << 20}, checksums);
    });
    EXPECT_EQ(find(read_model_index(path), "huge").checksums.size(), 10000U);
}

TEST(ModelFile, ManyChecksumsAreWrittenIntoTheirReservedPlace) {
    TemporaryFolder const folder;
    auto const path = folder.path("m.h5");
    {
        ModelFileWriter writer(path);
        writer.add_document("config", config);
        auto const places = writer.add_tensor("huge", DType::f32, {10000, 1 << 20});
        ASSERT_EQ(places.front().blocks(), 10000U);
        std::vector<std::uint64_t> checksums(10000);
        std::iota(checksums.begin(), checksums.end(), 5U);
        writer.set_checksums("huge", places, checksums);
        writer.commit({});
    }
    EXPECT_EQ(find(read_model_index(path), "huge").checksums[9999], 10004U);
}

TEST(ModelFile, TheSameModelIsTheSameFileAtAnyTime) {
    TemporaryFolder const folder;
    write_small_model(folder.path("m.h5"));
    auto const first = folder.read("m.h5");
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));
    write_small_model(folder.path("m.h5"));
    EXPECT_EQ(first, folder.read("m.h5"));
}

TEST(ModelFile, NothingIsLeftWithoutCommit) {
    TemporaryFolder const folder;
    {
        ModelFileWriter writer(folder.path("m.h5"));
        EXPECT_TRUE(folder.has("m.h5.partial"));
        writer.add_document("config", config);
        writer.add_tensor("a", DType::f32, {4});
    }
    EXPECT_FALSE(folder.has("m.h5.partial"));
    EXPECT_FALSE(folder.has("m.h5"));
}

TEST(ModelFile, WriterRefusesWrongUse) {
    TemporaryFolder const folder;
    ModelFileWriter writer(folder.path("m.h5"));
    auto const places = writer.add_tensor("a", DType::f32, {2});
    TensorWriter out(writer.files());
    out.begin(places, DType::f32);
    EXPECT_THROW(out.begin(places, DType::f32), kernels::LogicError);
    EXPECT_THROW(out.append(pattern(9, 0)), kernels::LogicError);
    EXPECT_THROW(out.end(), kernels::LogicError);
    std::vector<std::uint64_t> const too_many(2);
    EXPECT_THROW(writer.set_checksums("a", places, too_many), kernels::LogicError);
    EXPECT_THROW(writer.commit({}), kernels::LogicError);
}

TEST(ModelFile, TwoWritersOfOneFileAreKeptApart) {
    TemporaryFolder const folder;
    folder.write("m.h5.partial", "left behind by a killed writer");
    ModelFileWriter const first(folder.path("m.h5"));
    try {
        ModelFileWriter const second(folder.path("m.h5"));
        FAIL();
    } catch (kernels::InputError const& error) {
        EXPECT_THAT(error.what(), HasSubstr("another process is writing it"));
    }
    EXPECT_TRUE(folder.has("m.h5.partial"));
}

TEST(ModelFile, PlacesThatCannotBeWrittenAreNamed) {
    TemporaryFolder const folder;
    for (std::string const name : {"no/m.h5", ""}) {
        EXPECT_THROW(ModelFileWriter(folder.path(name)), kernels::InputError);
    }
    EXPECT_FALSE(std::filesystem::exists(folder.path("") + ".partial"));
}

}  // namespace
}  // namespace tesserank::io
