#pragma once

#include "kernels/dtype.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tesserank::parallel {

/// What one rank asks for when it calls a collective. The same on all ranks that call the same one.
struct CollectiveCall {
    enum class Kind : std::uint8_t {
        all_reduce,
        reduce_scatter,
        all_gather,
        reduce,
        gather,
        scatter,
        transfer,
        broadcast,
        all_to_all,
        barrier,
        minimum,  ///< of one number, as agree() asks for
        sum,      ///< likewise
    };
    static constexpr int nobody = -1;

    Kind kind = Kind::barrier;
    std::size_t bytes = 0;                       ///< of the whole that it is about
    bool bytes_alike = true;                     ///< whether all ranks see the same number of bytes
    kernels::DType dtype = kernels::DType::f32;  ///< of a sum
    int from = nobody, to = nobody;              ///< the ranks that it names
    std::uint64_t cut = 0;  ///< a hash of the sizes of the ranks' pieces; see hash_of_pieces

    /// Whether ranks that call the two would understand each other.
    bool fits(CollectiveCall const& other) const;
};

std::uint64_t hash_of_pieces(std::span<std::size_t const> sizes);

/// "all-reduce of 32768 bytes f32", "broadcast of 64 bytes from rank 0".
std::string describe(CollectiveCall const& call);

/// A short text that travels between ranks and lies in memory of fixed size; longer ones are cut.
template <std::size_t Size>
class ShortText {
  public:
    void set(std::string_view text) noexcept {
        length_ = static_cast<std::uint8_t>(text.copy(text_.data(), Size));
    }
    std::string_view view() const noexcept { return {text_.data(), length_}; }

  private:
    static_assert(Size < 256);
    std::uint8_t length_ = 0;
    std::array<char, Size> text_{};
};

/// A call as it is remembered: which one it was, and what this rank was doing.
struct CollectiveRecord {
    std::uint64_t number = 0;  ///< of this rank's calls, from 1
    CollectiveCall call;
    double seconds = 0;  ///< when it began, counted from the start of the communicator
    ShortText<31> phase;
    ShortText<47> module;
    ShortText<31> layouts;  ///< "Partial -> Replicated"
};

/// "all-reduce of 32768 bytes f32 (call 1042: decode, layers.3.mlp, Partial -> Replicated)".
std::string describe(CollectiveRecord const& record);

}  // namespace tesserank::parallel
