#pragma once

#include "io/tokenizer/merge_rules.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tesserank::io::detail {

/// Applies the merge rules to the tokens of one word, in place: always the rule of the smallest
/// rank, and of its places the leftmost, until none applies.
///
/// A short word is scanned again for each merge. A long one keeps its possible merges in a heap and
/// its tokens in a linked list: n log n for n tokens.
class BpeMerger {
  public:
    void merge(std::vector<std::int32_t>& tokens, MergeRules const& rules);

    static constexpr std::size_t longest_scanned = 40;

  private:
    static void merge_by_scanning(std::vector<std::int32_t>& tokens, MergeRules const& rules);
    void merge_by_heap(std::vector<std::int32_t>& tokens, MergeRules const& rules);
    void push(std::uint32_t position, std::vector<std::int32_t> const& tokens,
              MergeRules const& rules);
    std::uint64_t pop();

    std::vector<std::uint64_t> heap_;             // rank and position: the order of merging
    std::vector<std::uint32_t> next_, previous_;  // neighbours of the tokens that are left
};

}  // namespace tesserank::io::detail
