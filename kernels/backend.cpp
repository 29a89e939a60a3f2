#include "kernels/backend.hpp"

#include <utility>

namespace tesserank::kernels {

Tensor make_tensor(Backend& backend, DType dtype, std::size_t rows, std::size_t cols) {
    Buffer buffer = backend.allocate(rows * cols * size_of(dtype));
    TensorView const view{{buffer.get(), dtype, rows, cols, cols}};
    return {std::move(buffer), view};
}

}  // namespace tesserank::kernels
