#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace tesserank::io {

/// A safetensors file: length, header, data.
inline std::string safetensors_bytes(std::string const& header, std::string const& data) {
    std::string bytes;
    std::uint64_t length = header.size();
    for (int i = 0; i < 8; ++i, length >>= 8) bytes += static_cast<char>(length & 0xFF);
    return bytes + header + data;
}

/// "{"t": {"dtype": ..., "shape": ..., "data_offsets": ...}}" for one tensor.
inline std::string one_tensor_header(std::string const& dtype, std::string const& shape,
                                     std::string const& offsets) {
    return R"({"t":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
           offsets + "}}";
}

}  // namespace tesserank::io
