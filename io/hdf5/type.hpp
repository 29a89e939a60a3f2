#pragma once

#include "io/hdf5/handle.hpp"
#include "kernels/dtype.hpp"

#include <cstddef>
#include <optional>

namespace tesserank::io {

/// The little-endian HDF5 type of weights. bf16 is a floating-point type with 8 exponent and 7
/// mantissa bits, so that HDF5's own tools show numbers.
H5Type h5_type_of(kernels::DType dtype);

/// The inverse of h5_type_of; nullopt for any other type.
std::optional<kernels::DType> dtype_of_h5(H5Type const& type);

/// UTF-8 text of a fixed number of bytes, at least 1, without an end mark.
H5Type h5_text_type(std::size_t bytes);

}  // namespace tesserank::io
