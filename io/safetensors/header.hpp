#pragma once

#include "io/safetensors/dtype.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::io {

struct SafetensorsTensor {
    std::string name;
    SafetensorsDType dtype = SafetensorsDType::f32;
    std::vector<std::size_t> shape;  ///< empty for a single number
    std::size_t offset = 0;          ///< of the first byte in the file
    std::size_t bytes = 0;
};

/// The length of the header stands in the first 8 bytes.
inline constexpr std::size_t safetensors_prefix_bytes = 8;

/// Longer headers are refused. The longest known are below 1 MiB; parsing takes about ten times
/// the memory of a usual text, and up to thirty times of one made to cost much.
inline constexpr std::size_t most_safetensors_header_bytes = std::size_t{12} << 20;

/// The length of the JSON text after the prefix. Errors: InputError when it is 0, above the limit,
/// or beyond the end of a file of `file_bytes` bytes. `origin` names the file in messages.
std::size_t safetensors_header_bytes(std::span<std::byte const, safetensors_prefix_bytes> prefix,
                                     std::size_t file_bytes, std::string_view origin);

/// The tensors in the order of their bytes. Errors: InputError unless the header is right in every
/// detail: JSON without repeated keys, known types, shape times element size equal to the bytes,
/// data without overlap or gap from the header's end to the end of the file.
/// Source: https://github.com/huggingface/safetensors#format
std::vector<SafetensorsTensor> parse_safetensors_header(std::string_view json,
                                                        std::size_t file_bytes,
                                                        std::string_view origin);

}  // namespace tesserank::io
