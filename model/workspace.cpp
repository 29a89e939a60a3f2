#include "model/workspace.hpp"

namespace tesserank::model {
namespace {

constexpr std::size_t alignment = 64;

}  // namespace

Workspace::Workspace(kernels::Backend& backend, std::size_t bytes)
    : memory_{backend.allocate(bytes)}, bytes_{bytes} {}

std::size_t Workspace::bytes_of(kernels::DType dtype, std::size_t rows, std::size_t cols) {
    return (rows * cols * kernels::size_of(dtype) + alignment - 1) / alignment * alignment;
}

kernels::TensorView Workspace::take(kernels::DType dtype, std::size_t rows, std::size_t cols) {
    std::size_t const bytes = bytes_of(dtype, rows, cols);
    kernels::require(used_ + bytes <= bytes_, "the workspace is smaller than a forward pass needs");
    kernels::TensorView const view{{memory_.get() + used_, dtype, rows, cols, cols}};
    used_ += bytes;
    return view;
}

}  // namespace tesserank::model
