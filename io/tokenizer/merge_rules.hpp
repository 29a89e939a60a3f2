#pragma once

#include "io/json_reader.hpp"
#include "io/tokenizer/pair_map.hpp"
#include "io/tokenizer/vocabulary.hpp"

#include <cstdint>
#include <vector>

namespace tesserank::io::detail {

/// The `merges` of a BPE model: which pairs of tokens become one, and which of two goes first.
class MergeRules {
  public:
    struct Rule {
        std::uint32_t rank;  // smaller goes first
        std::int32_t result;
    };

    /// From a list of "a b" or of ["a", "b"]. Errors: InputError if a, b or ab is not in the
    /// vocabulary.
    static MergeRules from_json(JsonNode const& node, Vocabulary const& vocabulary);

    /// nullptr if the two do not merge.
    Rule const* find(std::int32_t left, std::int32_t right) const {
        return rules_.find(left, right);
    }

    /// Whether merging can put these two characters, both of them tokens, side by side into one
    /// token. Where it cannot, a word can be cut between them and its parts merged one by one, with
    /// the same result: that is what keeps a text without a pre-tokenizer fast.
    bool may_join(std::int32_t left_character, std::int32_t right_character) const {
        return joints_.find(left_character, right_character) != nullptr;
    }

  private:
    MergeRules() = default;
    void add_joint(std::string const& left, std::string const& right, Vocabulary const& vocabulary);

    struct Joint {};
    PairMap<Rule> rules_;
    PairMap<Joint> joints_;
};

}  // namespace tesserank::io::detail
