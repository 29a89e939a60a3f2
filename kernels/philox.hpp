#pragma once

#include <Random123/philox.h>

#include <cstdint>

namespace tesserank::kernels {

/// What uniform_draw() is, on the host and on a GPU: both give the same bits.
R123_CUDA_DEVICE inline double philox_draw(std::uint64_t seed, std::uint64_t stream,
                                           std::uint32_t sample, std::uint32_t position) {
    auto const low = [](std::uint64_t value) { return static_cast<std::uint32_t>(value); };
    auto const high = [](std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); };
    r123::Philox4x32::ctr_type const counter{{low(stream), high(stream), sample, position}};
    r123::Philox4x32::key_type const key{{low(seed), high(seed)}};
    auto const random = r123::Philox4x32{}(counter, key);
    std::uint64_t const bits = (std::uint64_t{random[0]} << 32) | random[1];
    return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace tesserank::kernels
