#include "io/safetensors/header.hpp"

#include "io/json_reader.hpp"
#include "io/requests/json_text.hpp"
#include "kernels/error.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace tesserank::io {
namespace {

using kernels::InputError;

constexpr std::size_t most_dimensions = 16;
constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();

std::size_t to_size(JsonNode const& node) {
    return static_cast<std::size_t>(node.integer(0, most));
}

SafetensorsDType parse_dtype(JsonNode const& node) {
    auto const dtype = safetensors_dtype_from_name(node.string());
    if (!dtype) {
        node.fail_expected(
            "one of BOOL, U8, I8, U16, I16, U32, I32, U64, I64, F16, BF16, F32, F64");
    }
    return *dtype;
}

/// shape x element size, which must fit 63 bits.
std::size_t bytes_of(SafetensorsTensor const& tensor, JsonNode const& node) {
    auto const limit = static_cast<std::size_t>(most);
    std::size_t bytes = size_of(tensor.dtype);
    // A dimension of 0 makes the product 0, whatever the others would overflow to.
    if (std::ranges::find(tensor.shape, std::size_t{0}) != tensor.shape.end()) return 0;
    for (auto const size : tensor.shape) {
        if (size > limit / bytes) node.fail("the shape's bytes do not fit 63 bits");
        bytes *= size;
    }
    return bytes;
}

SafetensorsTensor parse_tensor(std::string const& name, JsonNode const& node,
                               std::size_t data_offset, std::size_t data_bytes) {
    node.allow_only({"dtype", "shape", "data_offsets"});
    SafetensorsTensor tensor;
    tensor.name = name;
    tensor.dtype = parse_dtype(node.at("dtype"));
    auto const shape = node.at("shape");
    if (shape.size() > most_dimensions) {
        shape.fail_expected(std::to_string(most_dimensions) + " dimensions at most");
    }
    for (auto const& size : shape.elements()) tensor.shape.push_back(to_size(size));
    auto const place = node.at("data_offsets");
    if (place.size() != 2) place.fail_expected("a list of 2");
    auto const begin = to_size(place.element(0));
    auto const end = to_size(place.element(1));
    if (begin > end || end > data_bytes) {
        place.fail("found [" + std::to_string(begin) + ", " + std::to_string(end) +
                   "], expected a begin and an end within the file's " +
                   std::to_string(data_bytes) + " bytes of data (is the file truncated?)");
    }
    tensor.offset = data_offset + begin;
    tensor.bytes = end - begin;
    if (auto const expected = bytes_of(tensor, node); tensor.bytes != expected) {
        node.fail("data_offsets span " + std::to_string(tensor.bytes) +
                  " bytes, but shape and dtype need " + std::to_string(expected));
    }
    return tensor;
}

void check_metadata(JsonNode const& metadata) {
    for (auto const& [key, value] : metadata.members()) static_cast<void>(value.string());
}

/// The tensors must follow each other without overlap or gap, from the header to the file's end.
void check_coverage(std::span<SafetensorsTensor const> tensors, std::size_t data_offset,
                    std::size_t file_bytes, std::string_view origin) {
    auto const fail = [&](std::string const& message) {
        throw InputError(std::string(origin) + ": " + message);
    };
    auto next = data_offset;
    SafetensorsTensor const* previous = nullptr;
    for (auto const& tensor : tensors) {
        if (tensor.offset < next) {
            fail("tensors " + quote_name(previous->name) + " and " + quote_name(tensor.name) +
                 " overlap");
        }
        if (tensor.offset > next) {
            fail(std::to_string(tensor.offset - next) + " bytes before tensor " +
                 quote_name(tensor.name) + " belong to no tensor");
        }
        next = tensor.offset + tensor.bytes;
        previous = &tensor;
    }
    if (next != file_bytes) {
        fail("the last " + std::to_string(file_bytes - next) + " bytes belong to no tensor");
    }
}

}  // namespace

std::size_t safetensors_header_bytes(std::span<std::byte const, safetensors_prefix_bytes> prefix,
                                     std::size_t file_bytes, std::string_view origin) {
    std::uint64_t bytes = 0;
    for (std::size_t i = prefix.size(); i-- > 0;) {
        bytes = (bytes << 8) | std::to_integer<std::uint64_t>(prefix[i]);
    }
    auto const text =
        std::string(origin) + ": the header claims " + std::to_string(bytes) + " bytes, ";
    if (bytes > file_bytes - std::min(file_bytes, safetensors_prefix_bytes)) {
        throw InputError(text + "but the whole file has " + std::to_string(file_bytes) +
                         ": it is truncated or not a safetensors file");
    }
    if (bytes > most_safetensors_header_bytes) {
        throw InputError(text + "expected " + std::to_string(most_safetensors_header_bytes) +
                         " at most");
    }
    if (bytes < 2) throw InputError(text + "expected a JSON object");
    return bytes;
}

std::vector<SafetensorsTensor> parse_safetensors_header(std::string_view json,
                                                        std::size_t file_bytes,
                                                        std::string_view origin) {
    auto const data_offset = safetensors_prefix_bytes + json.size();
    kernels::require(data_offset <= file_bytes, "the header lies beyond the file");
    JsonDocument const document(json, origin);
    std::vector<SafetensorsTensor> tensors;
    for (auto const& [name, node] : document.root().members()) {
        if (name == "__metadata__") {
            check_metadata(node);
        } else {
            tensors.push_back(parse_tensor(name, node, data_offset, file_bytes - data_offset));
        }
    }
    // Empty tensors come before the one that begins where they lie.
    std::ranges::stable_sort(tensors, [](auto const& a, auto const& b) {
        return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);
    });
    check_coverage(tensors, data_offset, file_bytes, origin);
    return tensors;
}

}  // namespace tesserank::io
