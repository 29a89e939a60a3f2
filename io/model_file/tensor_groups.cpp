#include "io/model_file/tensor_groups.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

namespace tesserank::io {
namespace {

/// A name cut at its dots, with the parts that are numbers taken out.
struct Pattern {
    std::vector<std::string> parts;  ///< empty where a number was
    std::vector<std::uint64_t> numbers;
};

bool parse_number(std::string_view part, std::uint64_t& number) {
    auto const* const end = part.data() + part.size();
    auto const [stop, error] = std::from_chars(part.data(), end, number);
    return error == std::errc() && stop == end;
}

Pattern cut(std::string_view name) {
    Pattern pattern;
    while (true) {
        auto const dot = name.find('.');
        auto const part = name.substr(0, dot);
        std::uint64_t number = 0;
        bool const is_number = parse_number(part, number);
        pattern.parts.emplace_back(is_number ? "" : part);
        if (is_number) pattern.numbers.push_back(number);
        if (dot == std::string_view::npos) return pattern;
        name.remove_prefix(dot + 1);
    }
}

struct Group {
    std::vector<std::string> parts;
    std::vector<std::uint64_t> least, most;
    StoredTensor const* example = nullptr;
    std::size_t count = 0;

    std::string name() const {
        std::string text;
        std::size_t number = 0;
        for (auto const& part : parts) {
            if (&part != parts.data()) text += '.';
            text += part.empty() ? range(number++) : part;
        }
        return text;
    }

  private:
    std::string range(std::size_t number) const {
        auto const first = std::to_string(least[number]);
        auto const last = std::to_string(most[number]);
        return first == last ? first : "{" + first + "-" + last + "}";
    }
};

}  // namespace

std::vector<TensorGroup> group_tensors(std::span<StoredTensor const> tensors) {
    std::vector<Group> groups;
    using Key = std::tuple<std::vector<std::string>, kernels::DType, std::vector<std::size_t>>;
    std::map<Key, std::size_t> places;
    for (auto const& tensor : tensors) {
        auto const pattern = cut(tensor.name);
        auto const [place, added] =
            places.try_emplace(Key{pattern.parts, tensor.dtype, tensor.shape}, groups.size());
        if (added) {
            groups.push_back({pattern.parts, pattern.numbers, pattern.numbers, &tensor, 0});
        }
        auto& group = groups[place->second];
        ++group.count;
        for (std::size_t i = 0; i < pattern.numbers.size(); ++i) {
            group.least[i] = std::min(group.least[i], pattern.numbers[i]);
            group.most[i] = std::max(group.most[i], pattern.numbers[i]);
        }
    }
    std::vector<TensorGroup> result;
    result.reserve(groups.size());
    for (auto const& group : groups) result.push_back({group.name(), group.example, group.count});
    return result;
}

}  // namespace tesserank::io
