#pragma once

#include "io/safetensors/dtype.hpp"
#include "kernels/dtype.hpp"

#include <cstddef>
#include <span>

namespace tesserank::io {

/// Turns numbers of a safetensors file into weights of a model file, rounded to nearest, ties to
/// even; too large becomes infinity. `source` and `destination` hold equally many elements.
void cast(SafetensorsDType from, std::span<std::byte const> source, kernels::DType to,
          std::span<std::byte> destination);

}  // namespace tesserank::io
