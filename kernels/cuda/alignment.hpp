#pragma once

#include "kernels/tensor.hpp"

#include <cstddef>
#include <cstdint>

namespace tesserank::kernels::cuda {

/// Whether each row can be read 16 bytes at a time.
inline bool rows_aligned(ConstTensorView const& view) {
    std::size_t const row_bytes = view.rows > 1 ? view.stride * size_of(view.dtype) : 0;
    return reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0 && row_bytes % 16 == 0;
}

}  // namespace tesserank::kernels::cuda
