#include "kernels/kokkos/isa/attention.hpp"
#include "kernels/kokkos/isa/dot.hpp"

namespace tesserank::kernels::kokkos::isa {
namespace {

/// Vectors of four, which every 64-bit CPU has.
struct Portable {
    static constexpr std::size_t width = 4;
    static constexpr std::size_t tile_rows = 1;
    static constexpr std::size_t tile_tokens = 2;
    using Types = VectorTypes<width>;

    static Types::Words widen_words(Types::Halves bits) {
        return __builtin_convertvector(bits, Types::Words);
    }
    /// As kernels::to_float, for four.
    static Types::Floats from_halves(Types::Halves bits) {
        Types::Words const words = widen_words(bits);
        Types::Words const sign = (words & 0x8000U) << 16U;
        Types::Words const magnitude = words & 0x7FFFU;
        auto const finite = __builtin_bit_cast(
            Types::Words, __builtin_bit_cast(Types::Floats, magnitude << 13U) * 0x1p112F);
        Types::Words const special = 0x7F800000U | ((magnitude & 0x3FFU) << 13U);
        return __builtin_bit_cast(Types::Floats, sign | (magnitude >= 0x7C00U ? special : finite));
    }
};

}  // namespace

KernelTable const& portable_kernels() {
    static constexpr KernelTable table{"portable", dot<Portable>, attend<Portable>,
                                       widen<Portable>};
    return table;
}

}  // namespace tesserank::kernels::kokkos::isa
