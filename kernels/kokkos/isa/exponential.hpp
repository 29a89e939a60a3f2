#pragma once

#include <cstdint>

namespace tesserank::kernels::kokkos::isa {

/// One float with the notation of vectors, so that exponential() serves loops that the compiler
/// turns into vectors by itself.
struct Scalar {
    struct Types {
        using Floats = float;
        using Words = std::uint32_t;
    };
};

/// e^x within 2 units in the last place; 0 below -87.3, about 2^127 above 88.
/// e^x = 2^n e^r with n the integer nearest to x / ln 2; a polynomial gives e^r.
/// Source: the coefficients of Cephes' expf, Moshier 1992.
template <class Isa>
typename Isa::Types::Floats exponential(typename Isa::Types::Floats x) {
    using Floats = typename Isa::Types::Floats;
    using Words = typename Isa::Types::Words;
    Floats const clamped = x > 88.0F ? Floats{} + 88.0F : x;
    // Adding 1.5 * 2^23 leaves the rounded integer in the low bits of the float.
    Floats const shifted = clamped * 1.44269504F + 12582912.0F;
    Floats const n = shifted - 12582912.0F;
    Floats const r = clamped - n * 0.693359375F + n * 2.12194440e-4F;
    Floats poly = r * 1.9875691500e-4F + 1.3981999507e-3F;
    poly = poly * r + 8.3334519073e-3F;
    poly = poly * r + 4.1665795894e-2F;
    poly = poly * r + 1.6666665459e-1F;
    poly = poly * r + 5.0000001201e-1F;
    poly = poly * (r * r) + r + 1.0F;
    Words const exponent = (__builtin_bit_cast(Words, shifted) + 127U) << 23U;
    Floats const result = poly * __builtin_bit_cast(Floats, exponent);
    return x < -87.3F ? Floats{} : result;
}

}  // namespace tesserank::kernels::kokkos::isa
