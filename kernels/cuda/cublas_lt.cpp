#include "kernels/cuda/cublas_lt.hpp"

#include "kernels/cuda/cuda_check.hpp"

#include <algorithm>
#include <string>

/// cuBLASLt knows column-major matrices only. Our row-major y [T, N] is its D [N, T] with a leading
/// dimension of y's stride, w [N, K] its A [K, N], to be transposed, and x [T, K] its B [K, T]:
/// D = A^T B. The bias, one element for each row of D, is what its epilogue adds.
namespace tesserank::kernels::cuda {
namespace {

/// What NVIDIA advises for Hopper.
constexpr std::size_t workspace_bytes = std::size_t{32} << 20U;

cudaDataType_t type_of(DType dtype) {
    switch (dtype) {
        case DType::f32:
            return CUDA_R_32F;
        case DType::f8e4m3:
            return CUDA_R_8F_E4M3;
        default:
            return CUDA_R_16BF;
    }
}

/// The largest power of two that divides the address, as far as cuBLASLt cares.
std::uint32_t alignment_of(std::byte const* data) {
    auto const address = reinterpret_cast<std::uintptr_t>(data) | 256U;
    return static_cast<std::uint32_t>(address & (~address + 1U));
}

}  // namespace

CublasLt::CublasLt()
    : functions_{load_cublas_lt()},
      handle_{nullptr, functions_.destroy},
      workspace_{nullptr, cudaFree} {
    cublasLtHandle_t handle = nullptr;
    check(functions_.create(&handle), "cublasLtCreate");
    handle_.reset(handle);
    void* workspace = nullptr;
    check_cuda(cudaMalloc(&workspace, workspace_bytes), "cudaMalloc");
    workspace_.reset(static_cast<std::byte*>(workspace));
}

CublasLt::~CublasLt() = default;

bool CublasLt::multiply(Product const& product, cudaStream_t stream) {
    Plan const& plan = plan_for(product);
    if (!plan.possible) return false;
    set_pointers(plan, product);
    float const one = 1.0F;
    float const zero = 0.0F;
    check(functions_.matmul(handle_.get(), plan.description.get(), &one, product.w.data,
                            plan.w.get(), product.x.data, plan.x.get(), &zero, product.y.data,
                            plan.y.get(), product.y.data, plan.y.get(), &plan.algorithm,
                            workspace_.get(), workspace_bytes, stream),
          "cublasLtMatmul");
    return true;
}

CublasLt::Key CublasLt::key_of(Product const& product) {
    auto const& [x, w, bias, y, w_scales, x_scales] = product;
    return {.x = x.dtype,
            .w = w.dtype,
            .y = y.dtype,
            .has_bias = bias.data != nullptr,
            .tokens = x.rows,
            .rows = w.rows,
            .depth = x.cols,
            .x_stride = x.stride,
            .w_stride = w.stride,
            .y_stride = y.stride,
            .x_alignment = alignment_of(x.data),
            .w_alignment = alignment_of(w.data),
            .y_alignment = alignment_of(y.data),
            .bias_alignment = alignment_of(bias.data)};
}

CublasLt::Plan const& CublasLt::plan_for(Product const& product) {
    Key const key = key_of(product);
    auto found = plans_.find(key);
    if (found == plans_.end()) {
        if (plans_.size() == most_plans) forget_oldest();
        found = plans_.emplace(key, make_plan(key, product)).first;
    }
    found->second.last_use = ++uses_;
    return found->second;
}

void CublasLt::forget_oldest() {
    plans_.erase(std::ranges::min_element(plans_, {},
                                          [](auto const& entry) { return entry.second.last_use; }));
}

CublasLt::Plan CublasLt::make_plan(Key const& key, Product const& product) const {
    Plan plan{.description = make_description(key),
              .x = make_layout(key.x, key.depth, key.tokens, key.x_stride),
              .w = make_layout(key.w, key.depth, key.rows, key.w_stride),
              .y = make_layout(key.y, key.rows, key.tokens, key.y_stride)};
    set_pointers(plan, product);  // their alignments are looked at
    choose_algorithm(key, plan);
    return plan;
}

CublasLt::Owner<cublasLtMatmulDesc_t> CublasLt::make_description(Key const& key) const {
    cublasLtMatmulDesc_t description = nullptr;
    // Not CUBLAS_COMPUTE_32F_FAST_TF32: f32 stays f32.
    check(functions_.create_description(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F),
          "cublasLtMatmulDescCreate");
    Owner<cublasLtMatmulDesc_t> owner{description, functions_.destroy_description};
    set(description, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
    if (key.has_bias) set(description, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    if (key.w == DType::f8e4m3) {
        set(description, CUBLASLT_MATMUL_DESC_A_SCALE_MODE,
            CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F);
        set(description, CUBLASLT_MATMUL_DESC_B_SCALE_MODE,
            CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F);
        if (key.has_bias) set(description, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, CUDA_R_16BF);
    }
    return owner;
}

CublasLt::Owner<cublasLtMatrixLayout_t> CublasLt::make_layout(DType dtype, std::size_t rows,
                                                              std::size_t cols,
                                                              std::size_t stride) const {
    cublasLtMatrixLayout_t layout = nullptr;
    // A stride below the width is that of a view of one row, where it means nothing.
    auto const leading = static_cast<std::int64_t>(std::max(stride, rows));
    check(functions_.create_layout(&layout, type_of(dtype), rows, cols, leading),
          "cublasLtMatrixLayoutCreate");
    return {layout, functions_.destroy_layout};
}

void CublasLt::choose_algorithm(Key const& key, Plan& plan) const {
    cublasLtMatmulPreference_t preference = nullptr;
    check(functions_.create_preference(&preference), "cublasLtMatmulPreferenceCreate");
    Owner<cublasLtMatmulPreference_t> const owner{preference, functions_.destroy_preference};
    auto const prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
        check(functions_.set_preference(preference, attribute, &value, sizeof value),
              "cublasLtMatmulPreferenceSetAttribute");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{workspace_bytes});
    // Parts of a sum are joined in f32, not in y's type.
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
           std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key.w_alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key.x_alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key.y_alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key.y_alignment);
    cublasLtMatmulHeuristicResult_t best{};
    int count = 0;
    // An error says that there is no algorithm, as no results do.
    auto const status = functions_.choose_algorithms(handle_.get(), plan.description.get(),
                                                     plan.w.get(), plan.x.get(), plan.y.get(),
                                                     plan.y.get(), preference, 1, &best, &count);
    plan.possible =
        status == CUBLAS_STATUS_SUCCESS && count > 0 && best.state == CUBLAS_STATUS_SUCCESS;
    plan.algorithm = best.algo;
}

void CublasLt::set_pointers(Plan const& plan, Product const& product) const {
    auto const point = [&](cublasLtMatmulDescAttributes_t attribute, ConstTensorView const& view) {
        if (view.data == nullptr) return;
        set(plan.description.get(), attribute, static_cast<void const*>(view.data));
    };
    point(CUBLASLT_MATMUL_DESC_BIAS_POINTER, product.bias);
    point(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, product.w_scales);
    point(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, product.x_scales);
}

template <class Value>
void CublasLt::set(cublasLtMatmulDesc_t description, cublasLtMatmulDescAttributes_t attribute,
                   Value const& value) const {
    check(functions_.set_description(description, attribute, &value, sizeof value),
          "cublasLtMatmulDescSetAttribute");
}

void CublasLt::check(cublasStatus_t status, char const* call) const {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    throw SystemError(std::string(call) + ": " + functions_.status_text(status));
}

}  // namespace tesserank::kernels::cuda
