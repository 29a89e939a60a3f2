#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace tesserank::io::detail {

/// The tokens of short words seen lately. Direct-mapped: a word may push out another one, nothing
/// grows beyond 2^14 entries of one cache line each, and long words are not kept.
class WordCache {
  public:
    /// The tokens of `word`, until the next store(); nullopt if they are not kept.
    std::optional<std::span<std::int32_t const>> find(std::string_view word) const {
        if (word.empty() || word.size() > longest_word || entries_.empty()) return std::nullopt;
        auto const& entry = entries_[slot_of(word)];
        if (std::string_view(entry.word.data(), entry.size) != word) return std::nullopt;
        return std::span(entry.tokens).first(entry.count);
    }

    void store(std::string_view word, std::span<std::int32_t const> tokens) {
        if (word.empty() || word.size() > longest_word || tokens.size() > most_tokens) return;
        if (++stored_ > entries_.size() && entries_.size() < most_entries) grow();
        auto& entry = entries_[slot_of(word)];
        entry.size = static_cast<std::uint8_t>(word.size());
        entry.count = static_cast<std::uint8_t>(tokens.size());
        std::copy(word.begin(), word.end(), entry.word.begin());
        std::copy(tokens.begin(), tokens.end(), entry.tokens.begin());
    }

    static constexpr std::size_t longest_word = 30;

  private:
    static constexpr std::size_t most_tokens = 8;
    static constexpr std::size_t first_entries = 256, most_entries = 1U << 14;
    struct Entry {
        std::uint8_t size = 0;  // 0: unused
        std::uint8_t count = 0;
        std::array<char, longest_word> word{};
        std::array<std::int32_t, most_tokens> tokens{};
    };
    static_assert(sizeof(Entry) == 64);

    /// A multiplicative hash of the word's bytes, eight at a time.
    std::size_t slot_of(std::string_view word) const {
        std::uint64_t hash = word.size();
        for (std::size_t at = 0; at < word.size(); at += 8) {
            std::uint64_t block = 0;
            std::memcpy(&block, word.data() + at, word.size() - at < 8 ? word.size() - at : 8);
            hash = (hash ^ block) * 0x9E3779B97F4A7C15ULL;
            hash ^= hash >> 32;
        }
        return static_cast<std::size_t>(hash) & (entries_.size() - 1);
    }

    void grow() {
        auto const size = entries_.empty() ? first_entries : 4 * entries_.size();
        entries_.assign(size, Entry{});
        stored_ = 1;
    }

    std::vector<Entry> entries_;
    std::size_t stored_ = 0;
};

}  // namespace tesserank::io::detail
