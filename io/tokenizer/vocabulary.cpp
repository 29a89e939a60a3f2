#include "io/tokenizer/vocabulary.hpp"

#include "io/requests/json_text.hpp"

#include <algorithm>

namespace tesserank::io::detail {

Vocabulary Vocabulary::from_json(JsonNode const& node) {
    auto const members = node.members();
    auto const most_id = static_cast<std::int64_t>(
        std::min<std::size_t>(2 * members.size() + 65536, std::size_t{1} << 30));
    Vocabulary vocabulary;
    vocabulary.tokens_.reserve(members.size());
    for (auto const& [token, value] : members) {
        auto const id = static_cast<std::size_t>(value.integer(0, most_id));
        if (id >= vocabulary.tokens_.size()) vocabulary.tokens_.resize(id + 1);
        auto& slot = vocabulary.tokens_[id];
        if (slot) value.fail("the token " + quote_name(*slot) + " has the same id");
        slot = token;
    }
    vocabulary.ids_.reserve(members.size());
    for (std::size_t id = 0; id < vocabulary.tokens_.size(); ++id) {
        auto const& token = vocabulary.tokens_[id];
        if (token) vocabulary.ids_.emplace(*token, static_cast<std::int32_t>(id));
    }
    return vocabulary;
}

std::optional<std::int32_t> Vocabulary::id_of(std::string_view token) const {
    auto const found = ids_.find(token);
    if (found == ids_.end()) return std::nullopt;
    return found->second;
}

std::string const* Vocabulary::token(std::int32_t id) const {
    auto const index = static_cast<std::size_t>(id);
    if (id < 0 || index >= tokens_.size() || !tokens_[index]) return nullptr;
    return &*tokens_[index];
}

}  // namespace tesserank::io::detail
