#include "kernels/kokkos/isa/attention.hpp"
#include "kernels/kokkos/isa/dot.hpp"

#include <immintrin.h>

namespace tesserank::kernels::kokkos::isa {
namespace {

struct Avx512 {
    static constexpr std::size_t width = 16;
    // 4 x 5 sums leave twelve of the 32 registers for operands.
    static constexpr std::size_t tile_rows = 4;
    static constexpr std::size_t tile_tokens = 5;
    using Types = VectorTypes<width>;

    // The forms without a mask warn of an uninitialised value inside g++ 12's own header.
    static Types::Words widen_words(Types::Halves bits) {
        __m512i const wide = _mm512_maskz_cvtepu16_epi32(0xFFFF, __builtin_bit_cast(__m256i, bits));
        return __builtin_bit_cast(Types::Words, wide);
    }
    static Types::Floats from_halves(Types::Halves bits) {
        __m512 const wide = _mm512_maskz_cvtph_ps(0xFFFF, __builtin_bit_cast(__m256i, bits));
        return __builtin_bit_cast(Types::Floats, wide);
    }
};

}  // namespace

KernelTable const& avx512_kernels() {
    static constexpr KernelTable table{"avx512", dot<Avx512>, attend<Avx512>, widen<Avx512>};
    return table;
}

}  // namespace tesserank::kernels::kokkos::isa
