#include "io/images/picture_config.hpp"

#include "kernels/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace tesserank::io {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ModelIndex index_of(std::string const& config, std::optional<std::string> const& processor) {
    ModelIndex index;
    index.path = "m.h5";
    index.documents["config"] = config;
    if (processor) index.documents["preprocessor_config"] = *processor;
    return index;
}

PictureConfig read(std::string const& config, std::optional<std::string> const& processor = {}) {
    return read_picture_config(index_of(config, processor), 448);
}

std::string refusal(std::string const& config, std::optional<std::string> const& processor = {}) {
    try {
        read(config, processor);
        return "was accepted";
    } catch (kernels::InputError const& error) {
        return error.what();
    }
}

std::string original(std::string const& members) {
    return R"({"model_type": "internvl_chat")" + members + "}";
}
std::string const transformers = R"({"model_type": "internvl", "image_token_id": 7})";

TEST(PictureConfig, TheOriginalLayoutHasItInItsConfig) {
    auto const several = read(original(
        R"(, "dynamic_image_size": true, "min_dynamic_patch": 2, "max_dynamic_patch": 12,
             "use_thumbnail": true)"));
    EXPECT_EQ(several.tiling.tile, 448U);
    EXPECT_EQ(several.tiling.least_tiles, 2U);
    EXPECT_EQ(several.tiling.most_tiles, 12U);
    EXPECT_TRUE(several.tiling.thumbnail);
    EXPECT_THAT(several.mean, ElementsAre(0.485F, 0.456F, 0.406F));
    EXPECT_EQ(several.placeholder, std::nullopt);
    // One tile by default, whatever else is said.
    auto const one = read(original(R"(, "max_dynamic_patch": 12)"));
    EXPECT_EQ(one.tiling.least_tiles, 1U);
    EXPECT_EQ(one.tiling.most_tiles, 1U);
    auto const usual = read(original(R"(, "dynamic_image_size": true)"));
    EXPECT_EQ(usual.tiling.most_tiles, 6U);
    EXPECT_FALSE(usual.tiling.thumbnail);
}

TEST(PictureConfig, TransformersHasItInItsProcessor) {
    auto const several =
        read(transformers,
             R"({"crop_to_patches": true, "min_patches": 1, "max_patches": 9, "resample": 3,
            "size": {"height": 448, "width": 448}, "rescale_factor": 0.00392156862745098,
            "image_mean": [0.5, 0.25, 0.125], "image_std": [1, 2, 4], "do_resize": true})");
    EXPECT_EQ(several.tiling.most_tiles, 9U);
    EXPECT_TRUE(several.tiling.thumbnail);
    EXPECT_THAT(several.mean, ElementsAre(0.5F, 0.25F, 0.125F));
    EXPECT_THAT(several.deviation, ElementsAre(1.0F, 2.0F, 4.0F));
    EXPECT_EQ(several.placeholder, 7);
    EXPECT_EQ(read(transformers, "{}").tiling.most_tiles, 1U);
    EXPECT_EQ(read(transformers, R"({"crop_to_patches": true})").tiling.most_tiles, 12U);
}

TEST(PictureConfig, WhatIsDoneOtherwiseIsRefused) {
    EXPECT_THAT(refusal(transformers), HasSubstr("m.h5 has no /preprocessor_config"));
    auto const processor = [](std::string const& members) {
        return refusal(transformers, "{" + members + "}");
    };
    EXPECT_THAT(processor(R"("do_normalize": false)"),
                HasSubstr("do_normalize: found false, expected true"));
    EXPECT_THAT(processor(R"("resample": 2)"), HasSubstr("resample: found 2, expected 3"));
    EXPECT_THAT(processor(R"("rescale_factor": 1)"), HasSubstr("expected 1/255"));
    EXPECT_THAT(processor(R"("size": {"height": 448, "width": 224})"),
                HasSubstr("size.width: found 224, expected 448"));
    EXPECT_THAT(processor(R"("image_mean": [0.5])"), HasSubstr("a number for each of 3 channels"));
    EXPECT_THAT(processor(R"("image_std": [1, 0, 1])"), HasSubstr("numbers above 0"));
    EXPECT_THAT(processor(R"("min_patches": 9, "max_patches": 4)"),
                HasSubstr("at least 9 and at most 4 tiles"));
    EXPECT_THAT(refusal(original(R"(, "max_dynamic_patch": 0)")), HasSubstr("max_dynamic_patch"));
}

}  // namespace
}  // namespace tesserank::io
