#pragma once

#include <cstddef>
#include <cstdint>

namespace tesserank::kernels::cuda {

/// Whether all rows of a view begin at a multiple of 16 bytes.
template <class View>
bool rows_aligned(View const& view) {
    constexpr std::size_t vector = 16;
    return reinterpret_cast<std::uintptr_t>(view.data) % vector == 0 &&
           (view.rows <= 1 || view.stride * size_of(view.dtype) % vector == 0);
}

}  // namespace tesserank::kernels::cuda
