#pragma once

#include "kernels/cuda/cublas_lt_library.hpp"
#include "kernels/cuda/product.hpp"

#include <cuda_runtime.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <type_traits>

namespace tesserank::kernels::cuda {

/// cuBLASLt as row-major products on one stream. An algorithm is chosen once for each shape, and
/// again when many others came in between, since prompts have all lengths. A product allocates
/// nothing on the device and waits for nothing, so that it can be captured.
class CublasLt {
  public:
    /// On the current device. Errors: SystemError when the library or memory is not there.
    CublasLt();
    ~CublasLt();
    CublasLt(CublasLt const&) = delete;
    CublasLt& operator=(CublasLt const&) = delete;

    /// 120900 for 12.9.0.
    std::size_t version() const { return functions_.version(); }

    /// Whether there is an algorithm for the shape, types, strides and alignments of a product that
    /// is not empty. x and w are both f32 with a y of f32, or both bf16; the bias has y's type. Or
    /// both are fp8 with scales, and the bias is bf16. The bias is aligned to 16 bytes.
    bool can_multiply(Product const& product) { return plan_for(product).possible; }

    /// Queues it, or, when there is no algorithm, nothing and returns false.
    bool multiply(Product const& product, cudaStream_t stream);

  private:
    template <class Handle>
    using Owner = std::unique_ptr<std::remove_pointer_t<Handle>,
                                  cublasStatus_t (*)(std::remove_pointer_t<Handle>*)>;

    /// All that an algorithm's choice depends on.
    struct Key {
        DType x, w, y;
        bool has_bias;
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
        std::uint64_t last_use = 0;
    };
    static constexpr std::size_t most_plans = 256;

    static Key key_of(Product const& product);
    Plan const& plan_for(Product const& product);
    void forget_oldest();
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
    std::uint64_t uses_ = 0;
};

}  // namespace tesserank::kernels::cuda
