#include "io/images/picture_config.hpp"

#include "io/model_file/document.hpp"
#include "kernels/error.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <string_view>

namespace tesserank::io {
namespace {

constexpr std::int64_t most_tiles = 1024;  // of one picture

std::size_t tiles_or(JsonNode const& config, std::string_view key, std::size_t otherwise) {
    auto const member = config.find(key);
    return member ? static_cast<std::size_t>(member->integer(1, most_tiles)) : otherwise;
}

void check_range(JsonNode const& config, TilingOptions const& tiling) {
    if (tiling.least_tiles <= tiling.most_tiles) return;
    config.fail("a picture is cut into at least " + std::to_string(tiling.least_tiles) +
                " and at most " + std::to_string(tiling.most_tiles) + " tiles, expected a range");
}

void read_channels(JsonNode const& config, std::string_view key, std::array<float, 3>& channels) {
    auto const member = config.find(key);
    if (!member) return;
    if (member->size() != channels.size()) member->fail_expected("a number for each of 3 channels");
    for (std::size_t i = 0; i < channels.size(); ++i) {
        channels[i] = static_cast<float>(member->element(i).number());
    }
}

/// As InternVL's own code reads it; which scales with ImageNet's numbers, and so do its files.
void read_original(JsonNode const& config, TilingOptions& tiling) {
    tiling.thumbnail = config.boolean_or("use_thumbnail", false);
    tiling.least_tiles = tiles_or(config, "min_dynamic_patch", 1);
    tiling.most_tiles = tiles_or(config, "max_dynamic_patch", 6);
    check_range(config, tiling);
    if (!config.boolean_or("dynamic_image_size", false)) tiling.least_tiles = tiling.most_tiles = 1;
}

void expect_true(JsonNode const& config, std::string_view key) {
    if (!config.boolean_or(key, true)) config.at(key).fail_expected("true");
}

void expect_size(JsonNode const& config, std::size_t side) {
    auto const size = config.find("size");
    if (!size) return;
    for (auto const* const key : {"height", "width"}) {
        auto const member = size->at(key);
        if (member.integer(1, 1 << 20) != static_cast<std::int64_t>(side)) {
            member.fail_expected(std::to_string(side) + ", as the model's config has it");
        }
    }
}

/// What the processor of transformers does besides cutting into tiles.
void expect_usual_steps(JsonNode const& config, std::size_t side) {
    constexpr std::int64_t bicubic = 3;
    for (auto const* const key : {"do_resize", "do_rescale", "do_normalize"}) {
        expect_true(config, key);
    }
    expect_size(config, side);
    if (auto const filter = config.find("resample"); filter && filter->integer(0, 5) != bicubic) {
        filter->fail_expected("3, which is bicubic");
    }
    if (auto const factor = config.find("rescale_factor");
        factor && std::abs(factor->number() * 255 - 1) > 1e-6) {
        factor->fail_expected("1/255");
    }
}

void read_transformers(JsonNode const& config, TilingOptions& tiling) {
    expect_usual_steps(config, tiling.tile);
    tiling.thumbnail = true;
    tiling.least_tiles = tiles_or(config, "min_patches", 1);
    tiling.most_tiles = tiles_or(config, "max_patches", 12);
    check_range(config, tiling);
    if (!config.boolean_or("crop_to_patches", false)) tiling.least_tiles = tiling.most_tiles = 1;
}

}  // namespace

PictureConfig read_picture_config(ModelIndex const& index, std::size_t side) {
    PictureConfig result;
    result.tiling.tile = side;
    auto const config = open_document(index, "config");
    kernels::require(config.has_value(), "a model without a config");
    auto const processor = open_document(index, "preprocessor_config");
    if (config->root().at("model_type").string() == "internvl_chat") {
        read_original(config->root(), result.tiling);
    } else if (processor) {
        read_transformers(processor->root(), result.tiling);
    } else {
        throw kernels::InputError(
            index.path +
            " has no /preprocessor_config, which says how pictures are cut: convert "
            "again from a folder with preprocessor_config.json");
    }
    if (processor) {
        read_channels(processor->root(), "image_mean", result.mean);
        read_channels(processor->root(), "image_std", result.deviation);
        for (float const deviation : result.deviation) {
            if (!(deviation > 0))
                processor->root().at("image_std").fail_expected("numbers above 0");
        }
    }
    if (auto const token = config->root().find("image_token_id")) {
        result.placeholder =
            static_cast<std::int32_t>(token->integer(0, std::numeric_limits<std::int32_t>::max()));
    }
    return result;
}

}  // namespace tesserank::io
