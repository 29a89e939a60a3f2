#pragma once

#include "kernels/kokkos/isa/kernel_table.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>

/// Vectors of `Width` floats in the compiler's own notation. Everything here is a template on
/// an instruction set's type, which no other file knows: an inline function that two files compile
/// with different flags would be merged into one, and an old CPU could meet the new one's code. For
/// the same reason nothing of the standard library is called.
namespace tesserank::kernels::kokkos::isa {

template <std::size_t Width>
struct VectorTypes {
    using Floats [[gnu::vector_size(4 * Width)]] = float;
    using Words [[gnu::vector_size(4 * Width)]] = std::uint32_t;
    using Halves [[gnu::vector_size(2 * Width)]] = std::uint16_t;
};

/// 16 floats as the instruction set's vectors.
template <class Isa>
struct Lanes {
    using Floats = typename Isa::Types::Floats;
    static constexpr std::size_t parts = lanes / Isa::width;
    Floats part[parts];
};

template <class Isa>
typename Isa::Types::Floats load(float const* source) {
    typename Isa::Types::Floats value;
    std::memcpy(&value, source, sizeof value);
    return value;
}

template <class Isa>
typename Isa::Types::Floats load(BFloat16 const* source) {
    typename Isa::Types::Halves bits;
    std::memcpy(&bits, source, sizeof bits);
    return __builtin_bit_cast(typename Isa::Types::Floats, Isa::widen_words(bits) << 16U);
}

template <class Isa>
typename Isa::Types::Floats load(Float16 const* source) {
    typename Isa::Types::Halves bits;
    std::memcpy(&bits, source, sizeof bits);
    return Isa::from_halves(bits);
}

template <class Isa, class Element>
Lanes<Isa> load_lanes(Element const* source) {
    Lanes<Isa> value;
    for (std::size_t p = 0; p < Lanes<Isa>::parts; ++p)
        value.part[p] = load<Isa>(source + p * Isa::width);
    return value;
}

/// The first `count` of 16 elements, then zeros.
template <class Isa, class Element>
Lanes<Isa> load_some(Element const* source, std::size_t count) {
    Element buffer[lanes] = {};
    std::memcpy(buffer, source, count * sizeof(Element));
    return load_lanes<Isa>(buffer);
}

template <class Isa>
void store_lanes(float* destination, Lanes<Isa> const& value) {
    std::memcpy(destination, &value, sizeof value);
}

/// sum += a * b
template <class Isa>
void multiply_add(Lanes<Isa>& sum, float a, Lanes<Isa> const& b) {
    for (std::size_t p = 0; p < Lanes<Isa>::parts; ++p) sum.part[p] += a * b.part[p];
}

/// Lane i and lane i + 8 first, then 4, 2 and 1 apart.
template <class Isa>
float add_up(Lanes<Isa> const& value) {
    float sum[lanes];
    store_lanes(sum, value);
    for (std::size_t i = 0; i < 8; ++i) sum[i] += sum[i + 8];
    for (std::size_t i = 0; i < 4; ++i) sum[i] += sum[i + 4];
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

}  // namespace tesserank::kernels::kokkos::isa
