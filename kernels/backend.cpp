#include "kernels/backend.hpp"

#include <new>
#include <utility>

namespace tesserank::kernels {

Buffer Backend::allocate_staging(std::size_t bytes) {
    auto const release = [](void* /*context*/, std::byte* memory, std::size_t /*bytes*/) noexcept {
        ::operator delete(memory);
    };
    auto* const memory = bytes == 0 ? nullptr : static_cast<std::byte*>(::operator new(bytes));
    return Buffer{memory, BufferDeleter{release, nullptr, bytes}};
}

Tensor make_tensor(Backend& backend, DType dtype, std::size_t rows, std::size_t cols) {
    Buffer buffer = backend.allocate(rows * cols * size_of(dtype));
    TensorView const view{{buffer.get(), dtype, rows, cols, cols}};
    return {std::move(buffer), view};
}

}  // namespace tesserank::kernels
