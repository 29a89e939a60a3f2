#include "io/safetensors/header.hpp"
#include "kernels/error.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

namespace {

using tesserank::io::parse_safetensors_header;
using tesserank::io::safetensors_header_bytes;
using tesserank::io::safetensors_prefix_bytes;
using tesserank::io::SafetensorsTensor;

/// What a caller relies on: tensors follow each other and fill the file.
void check(std::span<SafetensorsTensor const> tensors, std::size_t data_offset,
           std::size_t file_bytes) {
    auto next = data_offset;
    for (auto const& tensor : tensors) {
        if (tensor.offset != next) std::abort();
        next += tensor.bytes;
    }
    if (next != file_bytes) std::abort();
}

void parse(std::string_view json, std::size_t file_bytes) {
    try {
        check(parse_safetensors_header(json, file_bytes, "fuzz"),
              safetensors_prefix_bytes + json.size(), file_bytes);
    } catch (tesserank::kernels::InputError const&) {
    }
}

}  // namespace

/// The input is a file; its length field is followed, and once more taken as right, so that the
/// JSON is reached whatever it says. The file's size is what the header needs when it is good.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    if (size < safetensors_prefix_bytes) return 0;
    std::array<std::byte, safetensors_prefix_bytes> prefix{};
    std::copy_n(reinterpret_cast<std::byte const*>(data), prefix.size(), prefix.begin());
    std::string_view const rest(reinterpret_cast<char const*>(data) + prefix.size(),
                                size - prefix.size());
    try {
        parse(rest.substr(0, safetensors_header_bytes(prefix, size, "fuzz")), size);
    } catch (tesserank::kernels::InputError const&) {
    }
    for (auto const data_bytes : std::array<std::size_t, 5>{0, 4, 8, 128, 4096})
        parse(rest, size + data_bytes);
    return 0;
}
