#include "io/requests/request_keys.hpp"

#include "io/requests/json_text.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace tesserank::io::detail {
namespace {

using NamePair = std::pair<std::string_view, std::string_view>;

auto constexpr names = std::to_array<std::string_view>({"id",
                                                        "custom_id",
                                                        "prompt",
                                                        "tokens",
                                                        "messages",
                                                        "images",
                                                        "completion",
                                                        "completion_tokens",
                                                        "method",
                                                        "url",
                                                        "body",
                                                        "max_new_tokens",
                                                        "temperature",
                                                        "top_k",
                                                        "top_p",
                                                        "min_p",
                                                        "repetition_penalty",
                                                        "seed",
                                                        "stop",
                                                        "stop_token_ids",
                                                        "ignore_eos",
                                                        "logprobs"});

// What other programs call these keys, where it is too far for a typo.
auto constexpr other_names = std::to_array<NamePair>({{"max_tokens", "max_new_tokens"},
                                                      {"max_completion_tokens", "max_new_tokens"},
                                                      {"max_length", "max_new_tokens"},
                                                      {"n_predict", "max_new_tokens"},
                                                      {"text", "prompt"},
                                                      {"input", "prompt"},
                                                      {"context", "prompt"},
                                                      {"input_ids", "tokens"},
                                                      {"token_ids", "tokens"},
                                                      {"prompt_tokens", "tokens"},
                                                      {"prompt_token_ids", "tokens"},
                                                      {"image", "images"},
                                                      {"image_url", "images"},
                                                      {"conversation", "messages"},
                                                      {"continuation", "completion"},
                                                      {"target", "completion"},
                                                      {"stop_sequences", "stop"},
                                                      {"stop_strings", "stop"},
                                                      {"eos_token_id", "stop_token_ids"},
                                                      {"top_logprobs", "logprobs"},
                                                      {"random_seed", "seed"}});

std::string_view find(std::span<NamePair const> pairs, std::string_view name) {
    auto const found = std::ranges::find(pairs, name, &NamePair::first);
    return found == pairs.end() ? std::string_view() : found->second;
}

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Levenshtein's distance; upper case in `a` counts as lower case.
std::size_t edits_between(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        auto diagonal = std::exchange(row[0], i + 1);
        for (std::size_t j = 0; j < b.size(); ++j) {
            auto const replaced = diagonal + (to_lower(a[i]) == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
        }
    }
    return row[b.size()];
}

std::string_view find_nearest(std::string_view name, Task task) {
    if (auto const other = find(other_names, name); !other.empty()) return other;
    std::size_t constexpr longest = 32;
    if (name.size() > longest) return {};
    auto best = name.size() / 3 + 1;
    std::string_view nearest;
    for (auto const known : names) {
        if (!is_known_to(*find_key(known), task)) continue;
        auto const edits = edits_between(name, known);
        if (edits > best || (edits == best && !nearest.empty())) continue;
        best = edits;
        nearest = known;
    }
    return nearest;
}

}  // namespace

std::string_view name_of(Key key) { return names[static_cast<std::size_t>(key)]; }

std::optional<Key> find_key(std::string_view name) {
    auto const found = std::ranges::find(names, name);
    if (found == names.end()) return std::nullopt;
    return static_cast<Key>(found - names.begin());
}

bool is_known_to(Key key, Task task) {
    if (key <= Key::images) return true;
    return (key <= Key::completion_tokens) == (task == Task::score);
}

std::string explain_refused_key(std::string_view name, Task task) {
    auto const quoted = quote_start(name);
    if (find_key(name)) {
        return "the key " + quoted + " has no meaning for " +
               (task == Task::score ? "score" : "generate");
    }
    if (auto const nearest = find_nearest(name, task); !nearest.empty()) {
        return "unknown key " + quoted + ": did you mean \"" + std::string(nearest) + "\"?";
    }
    std::string known;
    for (auto const name_known : names) {
        if (!is_known_to(*find_key(name_known), task)) continue;
        known += (known.empty() ? "" : ", ") + std::string(name_known);
    }
    return "unknown key " + quoted + ", expected one of " + known;
}

}  // namespace tesserank::io::detail
