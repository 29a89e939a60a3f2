#include "kernels/contracts.hpp"
#include "kernels/cuda/alignment.hpp"
#include "kernels/cuda/convert_rows.hpp"
#include "kernels/cuda/cublas_lt.hpp"
#include "kernels/cuda/cuda_backend.hpp"
#include "kernels/cuda/quantise_rows.hpp"
#include "kernels/cuda/skinny_gemm.hpp"

#include <algorithm>

namespace tesserank::kernels::cuda {
namespace {

/// What converted pieces take of scratch memory for each of x, w and y, in elements of 4 bytes.
constexpr std::size_t piece_elements = std::size_t{4} << 20U;
constexpr std::size_t most_piece_rows = 2048;
static_assert(most_piece_rows * most_piece_rows <= piece_elements, "a piece of y would not fit");

/// What x, quantised, takes of scratch memory, without its scales.
constexpr std::size_t quantised_bytes = std::size_t{48} << 20U;

void multiply(CublasLt& library, Product const& product, cudaStream_t stream) {
    if (!library.multiply(product, stream)) row_gemm(product, stream);
}

/// Whether cuBLASLt takes the types of a product without scales as they are, but for a bias that
/// can be widened to y's type, which is what its own has to have. Where rows are not aligned, it
/// rounds the product to bf16 before it adds the bias (seen with 13.1 on an H100).
bool fits_library(Product const& product) {
    auto const& [x, w, bias, y, w_scales, x_scales] = product;
    if (x.dtype != w.dtype) return false;
    if (y.dtype == DType::f32) return true;
    if (x.dtype != DType::bf16) return false;
    if (bias.data == nullptr) return true;
    return bias.dtype == DType::bf16 && rows_aligned(x) && rows_aligned(w) && rows_aligned(y);
}

bool can_be_epilogue(ConstTensorView const& bias, DType dtype) {
    return bias.data == nullptr || (bias.dtype == dtype && rows_aligned(bias));
}

/// The view as it is when it has this type, else its copy in `memory`.
ConstTensorView converted(ConstTensorView const& view, DType dtype, std::byte* memory,
                          cudaStream_t stream) {
    if (view.dtype == dtype) return view;
    TensorView const copy{{memory, dtype, view.rows, view.cols, view.cols}};
    convert_rows(view, {}, copy, stream);
    return copy;
}

/// Any types: with x and w converted to bf16 where that is exact, else to f32, and y made in f32,
/// all of it in pieces.
void converting_gemm(CublasLt& library, Product const& product, std::byte* memory,
                     cudaStream_t stream) {
    auto const& [x, w, bias, y, w_scales, x_scales] = product;
    require(x.cols <= piece_elements, "rows of a gemm are too long to be converted");
    bool const narrow = x.dtype == DType::bf16 && size_of(w.dtype) == 1;
    DType const dtype = narrow || x.dtype == w.dtype ? x.dtype : DType::f32;
    std::size_t const piece = std::min(most_piece_rows, piece_elements / x.cols);
    std::byte* const w_memory = memory + piece_elements * sizeof(float);
    std::byte* const y_memory = w_memory + piece_elements * sizeof(float);
    for (std::size_t token = 0; token < x.rows; token += piece) {
        std::size_t const tokens = std::min(piece, x.rows - token);
        auto const x_piece = converted(x.rows_from(token, tokens), dtype, memory, stream);
        for (std::size_t row = 0; row < w.rows; row += piece) {
            std::size_t const rows = std::min(piece, w.rows - row);
            auto const w_piece = converted(w.rows_from(row, rows), dtype, w_memory, stream);
            TensorView const sums{{y_memory, DType::f32, tokens, rows, rows}};
            multiply(library, {.x = x_piece, .w = w_piece, .bias = {}, .y = sums}, stream);
            RowChange change;
            if (w_scales.data != nullptr) change.scales = w_scales.cols_from(row, rows);
            if (bias.data != nullptr) change.bias = bias.cols_from(row, rows);
            convert_rows(sums, change, y.rows_from(token, tokens).cols_from(row, rows), stream);
        }
    }
}

/// Rows that are quantised at once.
std::size_t most_quantised(std::size_t cols) { return quantised_bytes / (cols + sizeof(float)); }

Product quantised_product(QuantisedRows const& x, ConstTensorView const& w8,
                          ConstTensorView const& scales, ConstTensorView const& bias,
                          TensorView const& y) {
    return {.x = x.values, .w = w8, .bias = bias, .y = y, .w_scales = scales, .x_scales = x.scales};
}

/// With x quantised by rows, in pieces. False when there is no algorithm for one of them; y is then
/// still to be made.
bool quantising_gemm(CublasLt& library, Product product, std::byte* memory, cudaStream_t stream) {
    auto const [x, w, bias, y, w_scales, x_scales] = product;
    std::size_t const piece = std::min(x.rows, most_quantised(x.cols));
    if (piece == 0) return false;
    TensorView const x8{{memory, DType::f8e4m3, piece, x.cols, x.cols}};
    std::byte* const behind = memory + (piece * x.cols + 15) / 16 * 16;
    TensorView const scales{{behind, DType::f32, 1, piece, piece}};
    for (std::size_t token = 0; token < x.rows; token += piece) {
        std::size_t const tokens = std::min(piece, x.rows - token);
        product.x = x8.rows_from(0, tokens);
        product.x_scales = scales.cols_from(0, tokens);
        product.y = y.rows_from(token, tokens);
        if (!library.can_multiply(product)) return false;
        quantise_rows(x.rows_from(token, tokens), x8.rows_from(0, tokens),
                      scales.cols_from(0, tokens), stream);
        library.multiply(product, stream);
    }
    return true;
}

unsigned multiprocessors(cudaDeviceProp const& device) {
    return static_cast<unsigned>(device.multiProcessorCount);
}

}  // namespace

void CudaBackend::gemm(ConstTensorView x, ConstTensorView w, ConstTensorView bias, TensorView y) {
    contracts::gemm(x, w, bias, y);
    if (y.size() == 0) return;
    Product product{.x = x, .w = w, .bias = bias, .y = y};
    if (can_stream(product)) return stream_gemm(product, multiprocessors(properties()), stream());
    if (x.rows <= skinny_tokens || x.cols == 0) return row_gemm(product, stream());
    if (!fits_library(product)) {
        std::byte* const memory = scratch(3 * piece_elements * sizeof(float));
        return converting_gemm(*cublas_lt_, product, memory, stream());
    }
    if (!can_be_epilogue(bias, y.dtype)) {
        TensorView const copy{{scratch(w.rows * size_of(y.dtype)), y.dtype, 1, w.rows, w.rows}};
        convert_rows(bias, {}, copy, stream());
        product.bias = copy;
    }
    multiply(*cublas_lt_, product, stream());
}

void CudaBackend::quantise_rows(ConstTensorView w, TensorView w8, TensorView scales) {
    contracts::quantise_rows(w, w8, scales);
    if (w.rows > 0) cuda::quantise_rows(w, w8, scales, stream());
}

void CudaBackend::gemm_scaled(ConstTensorView x, ConstTensorView w8, ConstTensorView scales,
                              ConstTensorView bias, TensorView y) {
    contracts::gemm_scaled(x, w8, scales, bias, y);
    if (y.size() == 0) return;
    Product const product{.x = x, .w = w8, .bias = bias, .y = y, .w_scales = scales};
    if (can_stream(product)) return stream_gemm(product, multiprocessors(properties()), stream());
    if (x.rows <= skinny_tokens || x.cols == 0) return row_gemm(product, stream());
    std::byte* const memory = scratch(quantised_bytes);
    static_assert(3 * piece_elements * sizeof(float) <= quantised_bytes);
    bool const quantises = x.dtype == DType::bf16 && quantises_for(bias);
    if (quantises && quantising_gemm(*cublas_lt_, product, memory, stream())) return;
    converting_gemm(*cublas_lt_, product, memory, stream());
}

/// Scales of rows came to cuBLASLt with 12.9, for Hopper only.
bool CudaBackend::quantises_for(ConstTensorView const& bias) const {
    return properties().major == 9 && cublas_lt_->version() >= 120900 &&
           can_be_epilogue(bias, DType::bf16);
}

// In one piece, so that it is the same product.
bool CudaBackend::quantises(QuantisedRows const& x, ConstTensorView w8, ConstTensorView scales,
                            ConstTensorView bias, TensorView y) {
    std::size_t const rows = x.values.rows, cols = x.values.cols;
    return rows > skinny_tokens && cols > 0 && y.size() > 0 && rows <= most_quantised(cols) &&
           quantises_for(bias) &&
           cublas_lt_->can_multiply(quantised_product(x, w8, scales, bias, y));
}

void CudaBackend::gemm_quantised(QuantisedRows const& x, ConstTensorView w8, ConstTensorView scales,
                                 ConstTensorView bias, TensorView y) {
    contracts::gemm_quantised(x, w8, scales, bias, y);
    require(quantises(x, w8, scales, bias, y), "rows are quantised for a product that cannot be");
    cublas_lt_->multiply(quantised_product(x, w8, scales, bias, y), stream());
}

}  // namespace tesserank::kernels::cuda
