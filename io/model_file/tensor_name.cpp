#include "io/model_file/tensor_name.hpp"

#include "io/requests/json_text.hpp"
#include "kernels/error.hpp"

#include <algorithm>

namespace tesserank::io {
namespace {

constexpr std::size_t most_name_bytes = 1024;

std::string exchange(std::string_view name, char from, char to) {
    auto const fail = [name](std::string const& why) {
        throw kernels::InputError("tensor name " + quote_name(name) + " " + why);
    };
    if (name.size() > most_name_bytes) {
        fail("has " + std::to_string(name.size()) + " bytes, expected " +
             std::to_string(most_name_bytes) + " at most");
    }
    if (name.find(to) != std::string_view::npos) {
        fail(std::string("contains '") + to + "', which a model file cannot keep");
    }
    if (std::ranges::any_of(name, [](char c) { return (c >= 0 && c < ' ') || c == 127; })) {
        fail("contains a control character");
    }
    auto const twice = std::string(2, from);
    if (name.empty() || name.front() == from || name.back() == from ||
        name.find(twice) != std::string_view::npos) {
        fail("has an empty part");
    }
    std::string result(name);
    std::ranges::replace(result, from, to);
    if (std::ranges::count(result, to) >= static_cast<std::ptrdiff_t>(most_name_parts)) {
        fail("has more than " + std::to_string(most_name_parts) + " parts");
    }
    return result;
}

}  // namespace

std::string path_of_tensor(std::string_view name) { return exchange(name, '.', '/'); }
std::string tensor_of_path(std::string_view path) { return exchange(path, '/', '.'); }

}  // namespace tesserank::io
