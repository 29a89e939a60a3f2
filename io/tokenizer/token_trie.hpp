#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tesserank::io::detail {

/// Finds the leftmost and, there, the longest of a set of strings in a text.
class TokenTrie {
  public:
    struct Match {
        std::size_t begin, end;
        std::int32_t id;
    };

    /// The time of a search is the text's length times the longest string's, so strings are
    /// limited.
    static constexpr std::size_t longest_string = 1024;

    /// False if `string` is there already. It must not be empty nor above longest_string.
    bool insert(std::string_view string, std::int32_t id);
    bool empty() const { return ids_.size() == 1; }

    /// The first match that begins at or after `start`.
    std::optional<Match> find(std::string_view text, std::size_t start) const;

  private:
    static constexpr std::uint32_t root = 0;
    static constexpr std::int32_t no_id = -1;

    std::optional<Match> longest_at(std::string_view text, std::size_t begin) const;

    std::array<bool, 256> first_bytes_{};
    std::vector<std::int32_t> ids_{no_id};                       // by node
    std::unordered_map<std::uint64_t, std::uint32_t> children_;  // node and byte -> node
};

}  // namespace tesserank::io::detail
