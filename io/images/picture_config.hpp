#pragma once

#include "io/images/tiling.hpp"
#include "io/model_file/model_index.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace tesserank::io {

/// What the documents of a model file say about pictures.
struct PictureConfig {
    TilingOptions tiling;
    /// Of the pixel values, by channel; ImageNet's where nothing is said.
    std::array<float, 3> mean{0.485F, 0.456F, 0.406F}, deviation{0.229F, 0.224F, 0.225F};
    /// The token in whose place features stand; nullopt where only a tokenizer knows it.
    std::optional<std::int32_t> placeholder;
};

/// For tiles of `side` pixels. InternVL's own layout has it in config.json, with the defaults of
/// its configuration_internvl_chat.py; that of transformers in preprocessor_config.json. Errors:
/// InputError naming the key, what was found and what is supported.
PictureConfig read_picture_config(ModelIndex const& index, std::size_t side);

}  // namespace tesserank::io
