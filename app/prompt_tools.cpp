#include "app/prompt_tools.hpp"

#include "io/chat/find_format.hpp"
#include "io/images/picture_config.hpp"
#include "kernels/error.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>

namespace tesserank::app {
namespace {

using kernels::InputError;

/// How a model wants its pictures, or why that is not known: a matter of the requests that have
/// some.
using PictureWishes = std::variant<io::PictureConfig, std::string>;

PictureWishes picture_wishes(io::ModelIndex const& index, model::DecoderConfig const& config) {
    if (!config.vision) return "the model takes no pictures";
    try {
        return io::read_picture_config(index, config.vision->side);
    } catch (InputError const& error) {
        return error.what();
    }
}

std::optional<std::int32_t> find_placeholder(RunOptions const& options,
                                             io::PictureConfig const& wishes,
                                             io::Tokenizer const* tokenizer) {
    if (options.image_token) return static_cast<std::int32_t>(*options.image_token);
    if (wishes.placeholder) return wishes.placeholder;
    // The name that InternVL's code asks its tokenizer for.
    return tokenizer == nullptr ? std::nullopt : tokenizer->id_of("<IMG_CONTEXT>");
}

/// A model's vocabulary may be padded beyond its tokenizer's.
void check_placeholder(std::optional<std::int32_t> placeholder, model::DecoderConfig const& config,
                       io::Tokenizer const* tokenizer) {
    auto const known = tokenizer == nullptr
                           ? config.vocabulary
                           : std::min(config.vocabulary, tokenizer->vocabulary_size());
    if (!placeholder || static_cast<std::size_t>(*placeholder) < known) return;
    throw InputError("the token that stands for a picture is " + std::to_string(*placeholder) +
                     ", expected one below the model's " + std::to_string(known) +
                     ": give another by --image-token");
}

io::PicturePrompts picture_prompts(RunOptions const& options, io::PictureConfig const& wishes,
                                   model::DecoderConfig const& config,
                                   io::Tokenizer const* tokenizer) {
    io::PicturePrompts prompts{.options = {.folder = {}, .limits = {}, .tiling = wishes.tiling},
                               .features_per_tile = config.vision->features_per_tile(),
                               .placeholder = find_placeholder(options, wishes, tokenizer)};
    check_placeholder(prompts.placeholder, config, tokenizer);
    auto& [folder, limits, tiling, room] = prompts.options;
    if (options.input != "-") folder = std::filesystem::path(options.input).parent_path().string();
    limits.file_bytes = options.max_image_bytes.value_or(limits.file_bytes);
    limits.pixels = options.max_image_pixels.value_or(limits.pixels);
    tiling.most_tiles = std::min(tiling.most_tiles, options.max_tiles.value_or(tiling.most_tiles));
    tiling.least_tiles = std::min(tiling.least_tiles, tiling.most_tiles);
    return prompts;
}

}  // namespace

io::PromptTools prompt_tools(RunOptions const& options, io::ModelIndex const& index,
                             model::DecoderConfig const& config, io::Tokenizer const* tokenizer) {
    io::PromptTools tools{.tokenizer = tokenizer, .chat = io::find_chat_format(index)};
    auto const wishes = picture_wishes(index, config);
    if (auto const* const known = std::get_if<io::PictureConfig>(&wishes)) {
        tools.pictures = picture_prompts(options, *known, config, tokenizer);
    } else {
        tools.pictures = std::get<std::string>(wishes);
    }
    return tools;
}

void set_scaling(model::VisionOptions& options, io::ModelIndex const& index,
                 model::DecoderConfig const& config) {
    auto const wishes = picture_wishes(index, config);
    auto const* const known = std::get_if<io::PictureConfig>(&wishes);
    if (known == nullptr) return;
    options.mean = known->mean;
    options.deviation = known->deviation;
}

}  // namespace tesserank::app
