#include "io/safetensors/reader.hpp"
#include "kernels/error.hpp"
#include "tests/io/safetensors_bytes.hpp"
#include "tests/io/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tesserank::io {
namespace {

using ::testing::HasSubstr;

std::string const golden = TESSERANK_SOURCE_DIR "/tests/golden/models/";

std::string error_of(std::string const& folder) {
    try {
        SafetensorsReader const reader(folder);
    } catch (kernels::InputError const& error) {
        return error.what();
    }
    return "no error";
}

/// Two files with the tensors a, and b; and an index.
void write_shards(TemporaryFolder const& folder, std::string const& index) {
    for (std::string const name : {"a", "b"}) {
        folder.write(
            name + ".safetensors",
            safetensors_bytes(
                "{\"" + name + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x"));
    }
    folder.write("model.safetensors.index.json", index);
}

TEST(SafetensorsReader, ReadsASingleFile) {
    SafetensorsReader const reader(golden + "mistral-swa8");
    ASSERT_EQ(reader.files().size(), 1U);
    EXPECT_TRUE(reader.index_path().empty());
    EXPECT_EQ(reader.bytes(), reader.files()[0].version.bytes);
}

TEST(SafetensorsReader, ReadsTheFilesOfAnIndex) {
    SafetensorsReader const reader(golden + "llama-gqa-rope3");
    EXPECT_EQ(reader.files().size(), 3U);
    EXPECT_THAT(reader.index_path(), HasSubstr("model.safetensors.index.json"));
    std::size_t tensors = 0;
    for (auto const& file : reader.files()) tensors += file.tensors.size();
    EXPECT_EQ(tensors, 30U);
}

TEST(SafetensorsReader, IndexAndFilesMustAgree) {
    TemporaryFolder const folder;
    auto const error_with = [&](std::string const& index) {
        write_shards(folder, index);
        return error_of(folder.path(""));
    };
    EXPECT_EQ(error_with(R"({"weight_map":{"a":"a.safetensors","b":"b.safetensors"}})"),
              "no error");
    EXPECT_THAT(error_with(R"({"weight_map":{"a":"a.safetensors","b":"a.safetensors"}})"),
                HasSubstr("tensor \"b\" is missing"));
    EXPECT_THAT(error_with(R"({"weight_map":{"c":"a.safetensors"}})"),
                HasSubstr("has tensor \"a\", but"));
    EXPECT_THAT(error_with(R"({"weight_map":{"a":"none.safetensors"}})"),
                HasSubstr("none.safetensors: cannot be opened"));
    EXPECT_THAT(error_with(R"({"weight_map":{}})"), HasSubstr("names no file"));
    EXPECT_THAT(error_with(R"({"weight_map":{"a":1}})"), HasSubstr("string"));
    EXPECT_THAT(error_with("{}"), HasSubstr("weight_map"));
}

TEST(SafetensorsReader, IndexCannotLeaveTheFolder) {
    TemporaryFolder const folder;
    for (std::string const& name : std::vector<std::string>{
             "../a.safetensors", "/etc/passwd", "..", ".", "", "x\\\\y", "a.safetensors\\u0000",
             "a\\u001b[2J.safetensors", std::string(300, 'a')}) {
        write_shards(folder, R"({"weight_map":{"a":")" + name + R"("}})");
        EXPECT_THAT(error_of(folder.path("")), HasSubstr("same folder")) << name;
    }
}

TEST(SafetensorsReader, DamagedFilesAreNamed) {
    TemporaryFolder const folder;
    auto const error_with = [&](std::string const& bytes) {
        folder.write("model.safetensors", bytes);
        return error_of(folder.path(""));
    };
    auto const good = safetensors_bytes(one_tensor_header("U8", "[4]", "[0,4]"), "abcd");
    EXPECT_EQ(error_with(good), "no error");
    for (std::size_t bytes = 0; bytes < good.size(); ++bytes) {
        EXPECT_THAT(error_with(good.substr(0, bytes)), HasSubstr("model.safetensors")) << bytes;
    }
    EXPECT_THAT(error_with(good + "x"), HasSubstr("last 1 bytes"));
}

TEST(SafetensorsReader, MissingFilesAreNamed) {
    TemporaryFolder const folder;
    EXPECT_THAT(error_of(folder.path("")), HasSubstr("neither model.safetensors nor"));
    EXPECT_THAT(error_of(folder.path("no")), HasSubstr("is not a folder"));
    EXPECT_THAT(error_of(folder.path(std::string(300, 'x'))), HasSubstr("is not a folder"));
}

}  // namespace
}  // namespace tesserank::io
