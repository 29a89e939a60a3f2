#include "io/safetensors/reader.hpp"

#include "io/json_reader.hpp"
#include "io/requests/json_text.hpp"
#include "kernels/error.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>

namespace tesserank::io {
namespace {

using kernels::InputError;

constexpr std::size_t most_index_bytes = std::size_t{24} << 20;
constexpr std::size_t most_name_bytes = 255;  // of a file on Linux

/// Tensor names by file name.
using Shards = std::map<std::string, std::set<std::string>>;

void check_file_name(JsonNode const& node) {
    auto const& name = node.string();
    auto const is_refused = [](char c) {
        return c == '/' || c == '\\' || c == '\x7F' || (c >= 0 && c < ' ');
    };
    if (name.empty() || name == "." || name == ".." || name.size() > most_name_bytes ||
        std::ranges::any_of(name, is_refused)) {
        node.fail_expected("the name of a file in the same folder");
    }
}

Shards read_index(std::string const& path) {
    JsonDocument const document(read_text_file(path, most_index_bytes), path);
    Shards shards;
    for (auto const& [tensor, node] : document.root().at("weight_map").members()) {
        check_file_name(node);
        shards[node.string()].insert(tensor);
    }
    if (shards.empty()) throw InputError(path + ": weight_map names no file");
    return shards;
}

void check_against_index(SafetensorsFile const& file, std::set<std::string> expected,
                         std::string const& index_path) {
    for (auto const& tensor : file.tensors) {
        if (expected.erase(tensor.name) == 0) {
            throw InputError(file.path + ": has tensor " + quote_name(tensor.name) + ", but " +
                             index_path + " does not say so");
        }
    }
    if (!expected.empty()) {
        throw InputError(file.path + ": tensor " + quote_name(*expected.begin()) +
                         " is missing, but " + index_path + " says that it is there");
    }
}

}  // namespace

SafetensorsFile read_safetensors_file(std::string const& path) {
    InputFile const file(path);
    if (file.bytes() < safetensors_prefix_bytes) {
        throw InputError(path + ": has " + std::to_string(file.bytes()) +
                         " bytes: it is truncated or not a safetensors file");
    }
    std::array<std::byte, safetensors_prefix_bytes> prefix{};
    file.read(0, prefix);
    std::string json(safetensors_header_bytes(prefix, file.bytes(), path), '\0');
    file.read(safetensors_prefix_bytes, std::as_writable_bytes(std::span(json)));
    return {path, file.version(), parse_safetensors_header(json, file.bytes(), path)};
}

SafetensorsReader::SafetensorsReader(std::string const& folder) {
    auto const root = std::filesystem::path(folder);
    std::error_code error;  // a name too long, a folder that may not be read: not there either
    if (!std::filesystem::is_directory(root, error)) {
        throw InputError(folder + ": is not a folder; expected a checkpoint folder");
    }
    auto const single = root / "model.safetensors";
    auto const index = root / "model.safetensors.index.json";
    if (std::filesystem::exists(single, error)) {
        files_.push_back(read_safetensors_file(single.string()));
    } else if (std::filesystem::exists(index, error)) {
        index_path_ = index.string();
        read_shards(folder);
    } else {
        throw InputError(folder +
                         ": has neither model.safetensors nor model.safetensors.index.json");
    }
}

void SafetensorsReader::read_shards(std::string const& folder) {
    for (auto const& [name, tensors] : read_index(index_path_)) {
        auto const path = (std::filesystem::path(folder) / name).string();
        files_.push_back(read_safetensors_file(path));
        check_against_index(files_.back(), tensors, index_path_);
    }
}

bool SafetensorsReader::has(std::string_view tensor) const {
    return std::ranges::any_of(files_, [&](SafetensorsFile const& file) {
        return std::ranges::find(file.tensors, tensor, &SafetensorsTensor::name) !=
               file.tensors.end();
    });
}

std::size_t SafetensorsReader::bytes() const {
    std::size_t bytes = 0;
    for (auto const& file : files_) bytes += file.version.bytes;
    return bytes;
}

}  // namespace tesserank::io
