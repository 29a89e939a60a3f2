#pragma once

#include "kernels/cuda/cublas_lt_library.hpp"
#include "kernels/tensor.hpp"

#include <cuda_runtime.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <type_traits>

namespace tesserank::kernels::cuda {

/// y = x w^T + bias on row-major views of device memory: x [T, K], w [N, K], bias [1, N] or no
/// data, y [T, N].
struct Product {
    ConstTensorView x, w, bias;
    TensorView y;
    /// Of fp8 x and w: each product is multiplied by its row's element, [T] and [N].
    float const* x_scales = nullptr;
    float const* w_scales = nullptr;
};

/// cuBLASLt as row-major products on one stream. An algorithm is chosen once for each shape;
/// a product allocates nothing on the device and waits for nothing, so that it can be captured.
class CublasLt {
  public:
    /// On the current device. Errors: SystemError when the library or memory is not there.
    CublasLt();
    ~CublasLt();
    CublasLt(CublasLt const&) = delete;
    CublasLt& operator=(CublasLt const&) = delete;

    /// 120900 for 12.9.0.
    std::size_t version() const { return functions_.version(); }

    /// Queues a product that is not empty. x and w are both f32 with a y of f32, or both bf16; the
    /// bias has y's type and is aligned to 16 bytes. False, and nothing is queued, when there is no
    /// algorithm for its shape, strides and alignments.
    bool multiply(Product const& product, cudaStream_t stream);

  private:
    template <class Handle>
    using Owner = std::unique_ptr<std::remove_pointer_t<Handle>,
                                  cublasStatus_t (*)(std::remove_pointer_t<Handle>*)>;

    /// All that an algorithm's choice depends on.
    struct Key {
        DType x, w, y;
        bool has_bias, has_scales;
        std::size_t tokens, rows, depth;
        std::size_t x_stride, w_stride, y_stride;
        std::uint32_t x_alignment, w_alignment, y_alignment, bias_alignment;
        auto operator<=>(Key const&) const = default;
    };
    /// A product but for its pointers.
    struct Plan {
        Owner<cublasLtMatmulDesc_t> description;
        Owner<cublasLtMatrixLayout_t> x, w, y;
        cublasLtMatmulAlgo_t algorithm{};
        bool possible = false;
    };

    static Key key_of(Product const& product);
    Plan make_plan(Key const& key, Product const& product) const;
    void choose_algorithm(Key const& key, Plan& plan) const;
    Owner<cublasLtMatmulDesc_t> make_description(Key const& key) const;
    Owner<cublasLtMatrixLayout_t> make_layout(DType dtype, std::size_t rows, std::size_t cols,
                                              std::size_t stride) const;
    void set_pointers(Plan const& plan, Product const& product) const;
    template <class Value>
    void set(cublasLtMatmulDesc_t description, cublasLtMatmulDescAttributes_t attribute,
             Value const& value) const;
    void check(cublasStatus_t status, char const* call) const;

    CublasLtLibrary functions_;
    Owner<cublasLtHandle_t> handle_;
    std::unique_ptr<std::byte, cudaError_t (*)(void*)> workspace_;
    std::map<Key, Plan> plans_;
};

}  // namespace tesserank::kernels::cuda
