#include "kernels/contracts.hpp"
#include "kernels/cuda/convert_rows.hpp"
#include "kernels/cuda/cublas_lt.hpp"
#include "kernels/cuda/cuda_backend.hpp"
#include "kernels/cuda/skinny_gemm.hpp"

#include <algorithm>
#include <cstdint>

namespace tesserank::kernels::cuda {
namespace {

/// What widening takes of scratch memory for each of x, w and y, in elements.
constexpr std::size_t piece_elements = std::size_t{4} << 20U;
constexpr std::size_t most_piece_rows = 2048;
static_assert(most_piece_rows * most_piece_rows <= piece_elements, "a piece of y would not fit");

void multiply(CublasLt& library, Product const& product, cudaStream_t stream) {
    if (!library.multiply(product, stream)) row_gemm(product, stream);
}

/// Whether cuBLASLt takes the types as they are. Its bias has y's type: another one fits when it
/// can be widened to that.
bool fits_library(Product const& product) {
    auto const& [x, w, bias, y] = product;
    if (x.dtype != w.dtype) return false;
    if (y.dtype == DType::f32) return true;
    return x.dtype == DType::bf16 && (bias.data == nullptr || bias.dtype == DType::bf16);
}

bool can_be_epilogue(ConstTensorView const& bias, TensorView const& y) {
    return bias.data == nullptr ||
           (bias.dtype == y.dtype && reinterpret_cast<std::uintptr_t>(bias.data) % 16 == 0);
}

/// The view as it is when it is f32, else its copy in `memory`.
ConstTensorView widened(ConstTensorView const& view, float* memory, cudaStream_t stream) {
    if (view.dtype == DType::f32) return view;
    TensorView const wide = view_of(memory, view.rows, view.cols);
    convert_rows(view, {}, wide, stream);
    return wide;
}

/// With x and w widened to f32 and y made in f32, all of it in pieces.
void widening_gemm(CublasLt& library, Product const& product, float* memory, cudaStream_t stream) {
    auto const& [x, w, bias, y] = product;
    require(x.cols <= piece_elements, "rows of a gemm are too long to be widened");
    std::size_t const piece = std::min(most_piece_rows, piece_elements / x.cols);
    for (std::size_t token = 0; token < x.rows; token += piece) {
        std::size_t const tokens = std::min(piece, x.rows - token);
        auto const wide_x = widened(x.rows_from(token, tokens), memory, stream);
        for (std::size_t row = 0; row < w.rows; row += piece) {
            std::size_t const rows = std::min(piece, w.rows - row);
            auto const wide_w = widened(w.rows_from(row, rows), memory + piece_elements, stream);
            TensorView const wide_y = view_of(memory + 2 * piece_elements, tokens, rows);
            multiply(library, {.x = wide_x, .w = wide_w, .bias = {}, .y = wide_y}, stream);
            convert_rows(wide_y, bias.data == nullptr ? bias : bias.cols_from(row, rows),
                         y.rows_from(token, tokens).cols_from(row, rows), stream);
        }
    }
}

}  // namespace

void CudaBackend::gemm(ConstTensorView x, ConstTensorView w, ConstTensorView bias, TensorView y) {
    contracts::gemm(x, w, bias, y);
    if (y.size() == 0) return;
    Product product{.x = x, .w = w, .bias = bias, .y = y};
    if (can_stream(product)) return stream_gemm(product, stream());
    if (x.rows <= skinny_tokens || x.cols == 0) return row_gemm(product, stream());
    if (!fits_library(product)) {
        auto* const memory = reinterpret_cast<float*>(scratch(3 * piece_elements * sizeof(float)));
        return widening_gemm(*cublas_lt_, product, memory, stream());
    }
    if (!can_be_epilogue(bias, y)) {
        TensorView const copy{{scratch(w.rows * size_of(y.dtype)), y.dtype, 1, w.rows, w.rows}};
        convert_rows(bias, {}, copy, stream());
        product.bias = copy;
    }
    multiply(*cublas_lt_, product, stream());
}

}  // namespace tesserank::kernels::cuda
