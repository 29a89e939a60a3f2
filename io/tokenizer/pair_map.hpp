#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace tesserank::io::detail {

/// A hash map from pairs of token ids to small values, with open addressing: the inner loop of BPE
/// is a look-up in it.
template <class Value>
class PairMap {
  public:
    /// The value of a pair, or nullptr.
    Value const* find(std::int32_t left, std::int32_t right) const {
        auto const& slot = slots_[slot_of(key_of(left, right))];
        return slot.key == no_key ? nullptr : &slot.value;
    }

    /// Sets the value of a pair; an earlier one is overwritten.
    void insert_or_assign(std::int32_t left, std::int32_t right, Value value) {
        if (2 * ++count_ > slots_.size()) grow();
        auto const key = key_of(left, right);
        slots_[slot_of(key)] = {key, value};
    }

  private:
    static constexpr std::uint64_t no_key = ~std::uint64_t{0};  // ids are not negative
    struct Slot {
        std::uint64_t key = no_key;
        Value value{};
    };

    static std::uint64_t key_of(std::int32_t left, std::int32_t right) {
        return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 |
               static_cast<std::uint32_t>(right);
    }

    /// The slot with this key, or the empty one where it belongs.
    std::size_t slot_of(std::uint64_t key) const {
        auto const mask = slots_.size() - 1;
        auto const mixed = (key ^ key >> 32) * 0x9E3779B97F4A7C15ULL;
        auto slot = static_cast<std::size_t>(mixed >> shift_);
        while (slots_[slot].key != key && slots_[slot].key != no_key) slot = (slot + 1) & mask;
        return slot;
    }

    void grow() {
        auto const old = std::exchange(slots_, std::vector<Slot>(2 * slots_.size()));
        --shift_;
        count_ = 1;  // the one about to be inserted
        for (auto const& slot : old) {
            if (slot.key == no_key) continue;
            slots_[slot_of(slot.key)] = slot;
            ++count_;
        }
    }

    static constexpr int first_bits = 4;
    std::vector<Slot> slots_ = std::vector<Slot>(std::size_t{1} << first_bits);
    int shift_ = 64 - first_bits;
    std::size_t count_ = 0;  // at least the number of pairs
};

}  // namespace tesserank::io::detail
