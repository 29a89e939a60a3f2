#pragma once

#include <cstdint>
#include <string_view>

namespace tesserank::kernels {

/// A number in [0, 1) that depends on its four arguments alone, with 53 random bits: no state, so
/// that a draw is the same whatever the batch, the place in the file or the rank count. Source:
/// Philox4x32-10, Salmon et al. 2011, https://doi.org/10.1145/2063384.2063405
double uniform_draw(std::uint64_t seed, std::uint64_t stream, std::uint32_t sample,
                    std::uint32_t position);

/// The stream of a request id. Source: FNV-1a, 64 bits, http://www.isthe.com/chongo/tech/comp/fnv/
std::uint64_t stream_of(std::string_view id);

}  // namespace tesserank::kernels
