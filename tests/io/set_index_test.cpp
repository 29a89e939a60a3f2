#include "io/model_file/set_index.hpp"

#include "kernels/error.hpp"
#include "tests/io/temporary_folder.hpp"

#include <gmock/gmock.h>

#include <functional>

namespace tesserank::io {
namespace {

using ::testing::HasSubstr;

SetIndex example() {
    SetIndex set;
    set.folder = "folder";
    set.ranks = 2;
    set.placement = "'*.mlp'=shard";
    set.plan = "{\"ranks\": 2}\n";
    set.model_sha256 = "abc";
    set.files = {{"shared.h5", 10, "a"}, {"rank0.h5", 20, "b"}, {"rank1.h5", 30, "c"}};
    StoredTensor tensor;
    tensor.name = "model.x";
    tensor.dtype = kernels::DType::bf16;
    tensor.shape = {3, 4};
    set.tensors = {tensor};
    return set;
}

TEST(SetIndex, ComesBackAsItWas) {
    auto const set = parse_set(set_text(example()), "folder");
    EXPECT_EQ(set.ranks, 2);
    EXPECT_EQ(set.placement, example().placement);
    EXPECT_EQ(set.plan, example().plan);
    EXPECT_EQ(set.model_sha256, "abc");
    ASSERT_EQ(set.files.size(), 3U);
    EXPECT_EQ(set.path_of(SetIndex::file_of_rank(1)), "folder/rank1.h5");
    EXPECT_EQ(set.files[2].bytes, 30U);
    EXPECT_EQ(set.files[2].sha256, "c");
    ASSERT_EQ(set.tensors.size(), 1U);
    EXPECT_EQ(set.tensors[0].bytes, 24U);
    EXPECT_EQ(set_text(set), set_text(example()));
}

void expect_refused(std::string const& from, std::string const& to, std::string const& words) {
    auto text = set_text(example());
    auto const at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    try {
        static_cast<void>(parse_set(text, "folder"));
        ADD_FAILURE() << to << " was taken";
    } catch (kernels::InputError const& error) {
        EXPECT_THAT(error.what(), HasSubstr("folder/set.json"));
        EXPECT_THAT(error.what(), HasSubstr(words));
    }
}

TEST(SetIndex, WhatIsWrongIsNamed) {
    expect_refused("tesserank-set", "tesserank-plan", "format");
    expect_refused("\"format_version\": 1", "\"format_version\": 2", "format_version");
    expect_refused("\"ranks\": 2", "\"ranks\": 0", "ranks");
    expect_refused("\"ranks\": 2", "\"ranks\": 3", "has 3 files");
    expect_refused("rank1.h5", "../other.h5", "rank1.h5");
    expect_refused("\"bytes\": 20", "\"bytes\": -1", "files[1].bytes");
    expect_refused("bf16", "i8", "f32, bf16 or f16");
    expect_refused("[3, 4]", "[3, -4]", "shape");
    expect_refused("[3, 4]", "[4000000000, 4000000000]", "63 bits");
    expect_refused("\"plan\"", "\"plane\"", "plan");
    expect_refused("}]}", "}]", "");
}

TEST(SetIndex, AFolderWithoutItIsNoSet) {
    TemporaryFolder const folder;
    EXPECT_FALSE(is_set(folder.path("")));
    try {
        static_cast<void>(read_model_index(folder.path("")));
        ADD_FAILURE();
    } catch (kernels::InputError const& error) {
        EXPECT_THAT(error.what(), HasSubstr("without set.json"));
    }
    static_cast<void>(folder.write("set.json", "{}"));
    EXPECT_TRUE(is_set(folder.path("")));
}

TEST(SetIndex, TheHashesSayWhatIsInAModel) {
    ModelIndex file;
    file.documents["config"] = "{}";
    file.tensors = example().tensors;
    file.tensors[0].checksums = {1, 2};
    auto const changes = std::vector<std::function<void(ModelIndex&)>>{
        [](ModelIndex& index) { index.documents["config"] = "{ }"; },
        [](ModelIndex& index) { index.tensors[0].checksums[1] = 3; },
        [](ModelIndex& index) {
            index.tensors[0].shape = {4, 3};
        },
        [](ModelIndex& index) {
            index.tensors[0].regions = {model::Region{{1, 3}, {0, 4}}};
        },
        [](ModelIndex& index) { index.tensors.clear(); }};
    EXPECT_EQ(content_sha256(file), content_sha256(file));
    for (auto const& change : changes) {
        auto changed = file;
        change(changed);
        EXPECT_NE(content_sha256(changed), content_sha256(file));
    }
    auto const model = model_sha256({{"file", "1"}}, file.tensors);
    EXPECT_NE(model_sha256({{"file", "2"}}, file.tensors), model);
    EXPECT_NE(model_sha256({{"file", "1"}}, {}), model);
}

}  // namespace
}  // namespace tesserank::io
