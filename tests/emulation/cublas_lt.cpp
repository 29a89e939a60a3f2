#include "kernels/cuda/cublas_lt_library.hpp"
#include "kernels/dtype.hpp"
#include "tests/emulation/device.hpp"
#include "tests/emulation/streams.hpp"

#include <cublasLt.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <initializer_list>

/// A product of column-major matrices in loops, under the rules of cuBLASLt that matter to us.

struct cublasLtContext {};
struct cublasLtMatmulDescOpaque_t {
    int transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
    int epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    int a_scale_mode = CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F;
    int b_scale_mode = CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F;
    int bias_type = -1;  ///< as the result
    void const* bias = nullptr;
    float const* a_scale = nullptr;
    float const* b_scale = nullptr;
};
struct cublasLtMatrixLayoutOpaque_t {
    cudaDataType_t type;
    std::uint64_t rows, cols;
    std::int64_t leading;
};
struct cublasLtMatmulPreferenceOpaque_t {
    std::uint64_t workspace_bytes = 0;
};

namespace {

using Description = cublasLtMatmulDescOpaque_t;
using Layout = cublasLtMatrixLayoutOpaque_t;

constexpr std::size_t wanted_workspace = 1024;

std::size_t size_of(cudaDataType_t type) {
    return type == CUDA_R_32F ? 4 : type == CUDA_R_8F_E4M3 ? 1 : 2;
}

float from_e4m3(std::uint8_t bits) {
    int const exponent = bits >> 3 & 15, mantissa = bits & 7;
    if (exponent == 15 && mantissa == 7) return NAN;
    float const size = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                     : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
    return (bits & 128) != 0 ? -size : size;
}

float load(void const* data, cudaDataType_t type, std::size_t index) {
    using namespace tesserank::kernels;
    switch (type) {
        case CUDA_R_32F:
            return static_cast<float const*>(data)[index];
        case CUDA_R_16BF:
            return to_float(static_cast<BFloat16 const*>(data)[index]);
        case CUDA_R_16F:
            return to_float(static_cast<Float16 const*>(data)[index]);
        default:
            return from_e4m3(static_cast<std::uint8_t const*>(data)[index]);
    }
}

void store(void* data, cudaDataType_t type, std::size_t index, float value) {
    using namespace tesserank::kernels;
    if (type == CUDA_R_32F) {
        static_cast<float*>(data)[index] = value;
    } else {
        static_cast<BFloat16*>(data)[index] = from_float<BFloat16>(value);
    }
}

/// Whether the columns of all of them begin at multiples of so many bytes.
bool all_begin_at(std::size_t bytes, std::initializer_list<Layout> matrices) {
    return std::ranges::all_of(matrices, [bytes](Layout const& matrix) {
        return static_cast<std::size_t>(matrix.leading) * size_of(matrix.type) % bytes == 0;
    });
}

/// D = alpha A^T B, the only form that is used.
struct Product {
    Description description;
    Layout a, b, d;
    void const* a_data;
    void const* b_data;
    void* d_data;
    float alpha;

    float scale(std::size_t row, std::size_t col) const {
        auto const of = [](float const* scales, int mode, std::size_t index) {
            if (scales == nullptr) return 1.0F;
            return scales[mode == CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F ? index : 0];
        };
        return of(description.a_scale, description.a_scale_mode, row) *
               of(description.b_scale, description.b_scale_mode, col);
    }
    float bias(std::size_t row) const {
        if (description.epilogue != CUBLASLT_EPILOGUE_BIAS) return 0.0F;
        auto const type =
            description.bias_type < 0 ? d.type : static_cast<cudaDataType_t>(description.bias_type);
        return load(description.bias, type, row);
    }
    void run() const {
        for (std::size_t col = 0; col < d.cols; ++col) {
            for (std::size_t row = 0; row < d.rows; ++row) {
                float sum = 0.0F;
                for (std::size_t k = 0; k < a.rows; ++k) {
                    sum += load(a_data, a.type, row * static_cast<std::size_t>(a.leading) + k) *
                           load(b_data, b.type, col * static_cast<std::size_t>(b.leading) + k);
                }
                std::size_t const place = col * static_cast<std::size_t>(d.leading) + row;
                float value = alpha * scale(row, col) * sum;
                // The real one adds a bias to sums in f32 where all are aligned.
                if (!all_begin_at(16, {a, b, d})) {
                    store(d_data, d.type, place, value);
                    value = load(d_data, d.type, place);
                }
                store(d_data, d.type, place, value + bias(row));
            }
        }
    }
};

bool is_known(Description const& description, Layout const& a, Layout const& b, Layout const& d) {
    bool const shapes = a.rows == b.rows && a.cols == d.rows && b.cols == d.cols &&
                        description.transpose_a == CUBLAS_OP_T &&
                        description.transpose_b == CUBLAS_OP_N && d.rows > 0 && d.cols > 0 &&
                        a.rows > 0;
    bool const types = a.type == b.type && (d.type == CUDA_R_32F || d.type == CUDA_R_16BF) &&
                       (a.type != CUDA_R_32F || d.type == CUDA_R_32F);
    bool const bias =
        description.epilogue == CUBLASLT_EPILOGUE_DEFAULT || description.bias != nullptr;
    // Some columns begin at odd addresses, so that our other ways are taken too.
    return shapes && types && bias && all_begin_at(4, {a, b, d});
}

/// fp8 asks for 16 bytes everywhere, and for Hopper where rows have their own scales.
bool fits_fp8(Description const& description, Layout const& a, Layout const& b, Layout const& d) {
    if (a.type != CUDA_R_8F_E4M3) return true;
    bool const by_row = description.a_scale_mode == CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
    return all_begin_at(16, {a, b, d}) && a.rows % 16 == 0 && a.cols % 16 == 0 &&
           tesserank::emulation::capability() >= (by_row ? 90 : 89) &&
           description.a_scale_mode == description.b_scale_mode &&
           (!by_row || (description.a_scale != nullptr && description.b_scale != nullptr));
}

template <class Field>
cublasStatus_t set(Field& field, void const* value, std::size_t bytes) {
    if (bytes != sizeof field) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&field, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

std::size_t cublasLtGetVersion() { return 130000; }

char const* cublasLtGetStatusString(cublasStatus_t status) {
    switch (status) {
        case CUBLAS_STATUS_SUCCESS:
            return "CUBLAS_STATUS_SUCCESS";
        case CUBLAS_STATUS_INVALID_VALUE:
            return "CUBLAS_STATUS_INVALID_VALUE";
        case CUBLAS_STATUS_NOT_SUPPORTED:
            return "CUBLAS_STATUS_NOT_SUPPORTED";
        default:
            return "CUBLAS_STATUS_EXECUTION_FAILED";
    }
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
    *handle = new cublasLtContext;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* description, cublasComputeType_t,
                                        cudaDataType_t) {
    *description = new Description;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t description) {
    delete description;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              void const* value, std::size_t bytes) {
    switch (attribute) {
        case CUBLASLT_MATMUL_DESC_TRANSA:
            return set(description->transpose_a, value, bytes);
        case CUBLASLT_MATMUL_DESC_TRANSB:
            return set(description->transpose_b, value, bytes);
        case CUBLASLT_MATMUL_DESC_EPILOGUE:
            return set(description->epilogue, value, bytes);
        case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
            return set(description->bias, value, bytes);
        case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
            return set(description->bias_type, value, bytes);
        case CUBLASLT_MATMUL_DESC_A_SCALE_POINTER:
            return set(description->a_scale, value, bytes);
        case CUBLASLT_MATMUL_DESC_B_SCALE_POINTER:
            return set(description->b_scale, value, bytes);
        case CUBLASLT_MATMUL_DESC_A_SCALE_MODE:
            return set(description->a_scale_mode, value, bytes);
        case CUBLASLT_MATMUL_DESC_B_SCALE_MODE:
            return set(description->b_scale_mode, value, bytes);
        case CUBLASLT_MATMUL_DESC_FAST_ACCUM:
            return bytes == 1 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType_t type,
                                          std::uint64_t rows, std::uint64_t cols,
                                          std::int64_t leading) {
    if (leading < static_cast<std::int64_t>(rows)) return CUBLAS_STATUS_INVALID_VALUE;
    *layout = new Layout{type, rows, cols, leading};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
    delete layout;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
    *preference = new cublasLtMatmulPreferenceOpaque_t;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
    delete preference;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    void const* value, std::size_t bytes) {
    if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) {
        return set(preference->workspace_bytes, value, bytes);
    }
    std::uint32_t number = 0;
    auto const status = set(number, value, bytes);
    // Of sums in parts, only those that are joined in f32 are wanted.
    bool const known = attribute != CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK ||
                       number == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    return known ? status : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t description,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* found) {
    *found = 0;
    if (wanted < 1 || preference->workspace_bytes < wanted_workspace ||
        !is_known(*description, *a, *b, *d) || !fits_fp8(*description, *a, *b, *d)) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    results[0] = {};
    results[0].workspaceSize = wanted_workspace;
    results[0].algo.data[0] = 1;
    *found = 1;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t description, void const* alpha,
                              void const* a, cublasLtMatrixLayout_t a_layout, void const* b,
                              cublasLtMatrixLayout_t b_layout, void const* beta, void const*,
                              cublasLtMatrixLayout_t, void* d, cublasLtMatrixLayout_t d_layout,
                              cublasLtMatmulAlgo_t const* algorithm, void* workspace,
                              std::size_t workspace_bytes, cudaStream_t stream) {
    if (*static_cast<float const*>(beta) != 0.0F || algorithm == nullptr ||
        algorithm->data[0] != 1 || workspace == nullptr || workspace_bytes < wanted_workspace ||
        !is_known(*description, *a_layout, *b_layout, *d_layout) ||
        !fits_fp8(*description, *a_layout, *b_layout, *d_layout)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    Product const product{
        *description, *a_layout, *b_layout, *d_layout, a, b, d, *static_cast<float const*>(alpha)};
    using namespace tesserank::emulation;
    std::lock_guard<std::recursive_mutex> const lock(runtime_mutex());
    // The workspace is written, as it is there.
    auto const work = [product, workspace] {
        std::memset(workspace, 0xCB, wanted_workspace);
        product.run();
    };
    return enqueue(stream, work) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                : CUBLAS_STATUS_EXECUTION_FAILED;
}

namespace tesserank::kernels::cuda {

/// In place of the one that looks for the library.
CublasLtLibrary load_cublas_lt() {
    return {.version = cublasLtGetVersion,
            .status_text = cublasLtGetStatusString,
            .create = cublasLtCreate,
            .destroy = cublasLtDestroy,
            .create_description = cublasLtMatmulDescCreate,
            .destroy_description = cublasLtMatmulDescDestroy,
            .set_description = cublasLtMatmulDescSetAttribute,
            .create_layout = cublasLtMatrixLayoutCreate,
            .destroy_layout = cublasLtMatrixLayoutDestroy,
            .create_preference = cublasLtMatmulPreferenceCreate,
            .destroy_preference = cublasLtMatmulPreferenceDestroy,
            .set_preference = cublasLtMatmulPreferenceSetAttribute,
            .choose_algorithms = cublasLtMatmulAlgoGetHeuristic,
            .matmul = cublasLtMatmul};
}

}  // namespace tesserank::kernels::cuda
