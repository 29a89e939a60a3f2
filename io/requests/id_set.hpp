#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace tesserank::io {

/// The ids seen so far and the line of each, as 96 bits of XXH3-128 in a flat table: 16 bytes per
/// slot, at most 43 per id, so that millions of ids fit. Two different ids among ten million are
/// taken for one with a chance of 1e-15.
class IdSet {
  public:
    /// Remembers `id`; if it was there already, the line where it stood first.
    std::optional<std::size_t> insert(std::string_view id, std::size_t line);

  private:
    struct Slot {
        std::uint64_t low = 0;
        std::uint32_t high = 0;
        std::uint32_t line = 0;  ///< 0: free
    };
    Slot& find(Slot const& wanted);
    void grow();

    std::vector<Slot> slots_;
    std::size_t used_ = 0;
};

}  // namespace tesserank::io
