#include "kernels/kokkos/isa/attention.hpp"
#include "kernels/kokkos/isa/dot.hpp"

#include <immintrin.h>

namespace tesserank::kernels::kokkos::isa {
namespace {

struct Avx2 {
    static constexpr std::size_t width = 8;
    // 2 x 3 sums of two vectors each leave four of the sixteen registers for operands.
    static constexpr std::size_t tile_rows = 2;
    static constexpr std::size_t tile_tokens = 3;
    using Types = VectorTypes<width>;

    // g++ 12 turns a conversion written without intrinsics into two halves.
    static Types::Words widen_words(Types::Halves bits) {
        return __builtin_bit_cast(Types::Words,
                                  _mm256_cvtepu16_epi32(__builtin_bit_cast(__m128i, bits)));
    }
    static Types::Floats from_halves(Types::Halves bits) {
        return __builtin_bit_cast(Types::Floats,
                                  _mm256_cvtph_ps(__builtin_bit_cast(__m128i, bits)));
    }
};

}  // namespace

KernelTable const& avx2_kernels() {
    static constexpr KernelTable table{"avx2", dot<Avx2>, attend<Avx2>, widen<Avx2>};
    return table;
}

}  // namespace tesserank::kernels::kokkos::isa
