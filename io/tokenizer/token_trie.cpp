#include "io/tokenizer/token_trie.hpp"

namespace tesserank::io::detail {
namespace {

std::uint64_t edge(std::uint32_t node, char byte) {
    return std::uint64_t{node} << 8 | static_cast<unsigned char>(byte);
}

}  // namespace

bool TokenTrie::insert(std::string_view string, std::int32_t id) {
    first_bytes_[static_cast<unsigned char>(string[0])] = true;
    auto node = root;
    for (char const byte : string) {
        auto const next = static_cast<std::uint32_t>(ids_.size());
        auto const [child, added] = children_.emplace(edge(node, byte), next);
        if (added) ids_.push_back(no_id);
        node = child->second;
    }
    if (ids_[node] != no_id) return false;
    ids_[node] = id;
    return true;
}

std::optional<TokenTrie::Match> TokenTrie::find(std::string_view text, std::size_t start) const {
    if (empty()) return std::nullopt;
    for (auto begin = start; begin < text.size(); ++begin) {
        if (!first_bytes_[static_cast<unsigned char>(text[begin])]) continue;
        if (auto const match = longest_at(text, begin)) return match;
    }
    return std::nullopt;
}

std::optional<TokenTrie::Match> TokenTrie::longest_at(std::string_view text,
                                                      std::size_t begin) const {
    std::optional<Match> longest;
    auto node = root;
    for (auto at = begin; at < text.size(); ++at) {
        auto const child = children_.find(edge(node, text[at]));
        if (child == children_.end()) break;
        node = child->second;
        if (ids_[node] != no_id) longest = Match{.begin = begin, .end = at + 1, .id = ids_[node]};
    }
    return longest;
}

}  // namespace tesserank::io::detail
