#pragma once

#include "io/json_reader.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tesserank::io::detail {

/// Tokens and their ids, both ways. Ids may have holes.
class Vocabulary {
  public:
    /// From an object of token -> id. Errors: InputError if two tokens share an id, or the ids
    /// leave more holes than tokens (a damaged file, and a waste of memory).
    static Vocabulary from_json(JsonNode const& node);

    Vocabulary(Vocabulary&&) noexcept = default;
    Vocabulary& operator=(Vocabulary&&) noexcept = default;
    Vocabulary(Vocabulary const&) = delete;
    Vocabulary& operator=(Vocabulary const&) = delete;
    ~Vocabulary() = default;

    std::optional<std::int32_t> id_of(std::string_view token) const;
    /// nullptr where no token has this id.
    std::string const* token(std::int32_t id) const;

    std::size_t token_count() const { return ids_.size(); }
    std::size_t largest_id_plus_one() const { return tokens_.size(); }

  private:
    Vocabulary() = default;

    std::vector<std::optional<std::string>> tokens_;          // by id
    std::unordered_map<std::string_view, std::int32_t> ids_;  // keys lie in tokens_
};

}  // namespace tesserank::io::detail
