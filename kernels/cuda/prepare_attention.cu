#include "kernels/contracts.hpp"
#include "kernels/cuda/cuda_backend.hpp"
#include "kernels/cuda/prepare_heads.hpp"

namespace tesserank::kernels::cuda {
namespace {

HeadColumns columns_of(ConstTensorView const& x, std::size_t first, std::size_t heads,
                       std::size_t head_dim) {
    // The kernel writes only to the heads that it normalises or rotates.
    auto* const data = const_cast<std::byte*>(x.data);
    return {data + first * head_dim * size_of(x.dtype), x.stride, heads};
}

}  // namespace

void CudaBackend::head_rms_norm(TensorView x, std::size_t head_dim, ConstTensorView weight,
                                float eps) {
    contracts::head_norm(x, head_dim, weight);
    launch_prepare({.dtype = x.dtype,
                    .tokens = x.rows,
                    .head_dim = head_dim,
                    .q = columns_of(x, 0, x.cols / head_dim, head_dim),
                    .norms = {.query = weight, .key = {}, .eps = eps}},
                   stream());
}

void CudaBackend::rotary(TensorView x, std::size_t head_dim, ConstTensorView cos_sin) {
    contracts::rotary(x, head_dim, cos_sin);
    launch_prepare({.dtype = x.dtype,
                    .tokens = x.rows,
                    .head_dim = head_dim,
                    .q = columns_of(x, 0, x.cols / head_dim, head_dim),
                    .cos_sin = cos_sin},
                   stream());
}

/// The kv heads need not be told apart here: a row is one head.
void CudaBackend::store_kv(ConstTensorView k, ConstTensorView v, Segments const& segments,
                           TensorView k_cache, TensorView v_cache) {
    contracts::store_kv(k, v, {k_cache, v_cache});
    if (segments.list.size == 0) return;
    launch_prepare({.dtype = k.dtype,
                    .tokens = k.rows,
                    .head_dim = k.cols,
                    .k = columns_of(k, 0, 1, k.cols),
                    .v = columns_of(v, 0, 1, v.cols),
                    .segments = segments.list,
                    .k_cache = k_cache,
                    .v_cache = v_cache},
                   stream());
}

void CudaBackend::prepare_attention(TensorView qkv, AttentionShape const& shape,
                                    HeadNorms const& norms, ConstTensorView cos_sin,
                                    Segments const& segments, TensorView k_cache,
                                    TensorView v_cache) {
    contracts::prepare_attention(qkv, shape);
    std::size_t const q = shape.query_heads, k = shape.kv_heads, dim = shape.head_dim;
    if (qkv.cols == 0) return;
    contracts::rotary(qkv, dim, cos_sin);
    launch_prepare({.dtype = qkv.dtype,
                    .tokens = qkv.rows,
                    .head_dim = dim,
                    .q = columns_of(qkv, 0, q, dim),
                    .k = columns_of(qkv, q, k, dim),
                    .v = columns_of(qkv, q + k, k, dim),
                    .norms = norms,
                    .cos_sin = cos_sin,
                    .segments = segments.list,
                    .k_cache = k_cache,
                    .v_cache = v_cache},
                   stream());
}

}  // namespace tesserank::kernels::cuda
