#include "io/tokenizer/bpe_merge.hpp"

#include <algorithm>
#include <array>
#include <functional>

namespace tesserank::io::detail {
namespace {

constexpr std::uint32_t no_rank = UINT32_MAX;
constexpr std::uint32_t no_position = UINT32_MAX;
constexpr std::int32_t merged_away = -1;

}  // namespace

void BpeMerger::merge(std::vector<std::int32_t>& tokens, MergeRules const& rules) {
    if (tokens.size() <= longest_scanned) {
        merge_by_scanning(tokens, rules);
    } else {
        merge_by_heap(tokens, rules);
    }
}

void BpeMerger::merge_by_scanning(std::vector<std::int32_t>& tokens, MergeRules const& rules) {
    std::array<MergeRules::Rule, longest_scanned> pairs;  // pairs[i]: of tokens i and i + 1
    auto size = tokens.size();
    auto const look_up = [&](std::size_t i) {
        auto const* const rule = rules.find(tokens[i], tokens[i + 1]);
        pairs[i] = rule == nullptr ? MergeRules::Rule{no_rank, 0} : *rule;
    };
    for (std::size_t i = 0; i + 1 < size; ++i) look_up(i);
    while (size > 1) {
        std::size_t best = 0;
        for (std::size_t i = 1; i + 1 < size; ++i) {
            if (pairs[i].rank < pairs[best].rank) best = i;
        }
        if (pairs[best].rank == no_rank) break;
        tokens[best] = pairs[best].result;
        for (auto i = best + 1; i + 1 < size; ++i) {
            tokens[i] = tokens[i + 1];
            pairs[i - 1] = pairs[i];
        }
        --size;
        if (best > 0) look_up(best - 1);
        if (best + 1 < size) look_up(best);
    }
    tokens.resize(size);
}

void BpeMerger::push(std::uint32_t position, std::vector<std::int32_t> const& tokens,
                     MergeRules const& rules) {
    auto const* const rule = rules.find(tokens[position], tokens[next_[position]]);
    if (rule == nullptr) return;
    heap_.push_back(std::uint64_t{rule->rank} << 32 | position);
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
}

std::uint64_t BpeMerger::pop() {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    auto const top = heap_.back();
    heap_.pop_back();
    return top;
}

void BpeMerger::merge_by_heap(std::vector<std::int32_t>& tokens, MergeRules const& rules) {
    auto const size = static_cast<std::uint32_t>(tokens.size());
    heap_.clear();
    next_.resize(size);
    previous_.resize(size);
    for (std::uint32_t i = 0; i < size; ++i) {
        next_[i] = i + 1 < size ? i + 1 : no_position;
        previous_[i] = i > 0 ? i - 1 : no_position;
        auto const* const rule = i + 1 < size ? rules.find(tokens[i], tokens[i + 1]) : nullptr;
        if (rule != nullptr) heap_.push_back(std::uint64_t{rule->rank} << 32 | i);
    }
    std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
    while (!heap_.empty()) {
        auto const top = pop();
        auto const left = static_cast<std::uint32_t>(top);
        auto const right = next_[left];
        if (tokens[left] == merged_away || right == no_position) continue;
        auto const* const rule = rules.find(tokens[left], tokens[right]);
        if (rule == nullptr || rule->rank != top >> 32) continue;  // one of the two has changed
        tokens[left] = rule->result;
        tokens[right] = merged_away;
        next_[left] = next_[right];
        if (next_[left] != no_position) {
            previous_[next_[left]] = left;
            push(left, tokens, rules);
        }
        if (previous_[left] != no_position) push(previous_[left], tokens, rules);
    }
    std::erase(tokens, merged_away);
}

}  // namespace tesserank::io::detail
