#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tesserank::io {

/// What a model file consists of; see docs for the table. Everything is little-endian.
inline constexpr std::string_view model_format = "tesserank";
inline constexpr std::string_view part_format = "tesserank-part";  ///< one file of a set
inline constexpr std::uint64_t model_format_version = 1;
inline constexpr char weights_group[] = "weights";

/// A block is what one checksum covers: whole rows of the tensor, or a piece of one row where a
/// row is longer than this.
inline constexpr std::size_t most_block_bytes = std::size_t{4} << 20;

/// A text of the model's folder that travels in the model file.
struct DocumentKind {
    std::string_view name;  ///< in the model file: /<name>
    std::string_view file;  ///< in the folder
    bool json;
};
inline constexpr std::array<DocumentKind, 7> document_kinds{
    {{"config", "config.json", true},
     {"generation_config", "generation_config.json", true},
     {"tokenizer", "tokenizer.json", true},
     {"tokenizer_config", "tokenizer_config.json", true},
     {"chat_template", "chat_template.jinja", false},
     {"chat_template", "chat_template.json", true},  // where there is no .jinja
     {"preprocessor_config", "preprocessor_config.json", true}}};
inline constexpr std::size_t most_document_bytes = std::size_t{64} << 20;

}  // namespace tesserank::io
