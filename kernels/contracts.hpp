#pragma once

#include "kernels/backend.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

/// The shapes and dtypes that the operations of Backend demand, checked in one place for all
/// backends. Each throws LogicError when they are not met.
namespace tesserank::kernels::contracts {

void copy(ConstTensorView const& source, TensorView const& destination);
void embed(DeviceSpan<std::int32_t const> ids, ConstTensorView const& table, TensorView const& y);
void gemm(ConstTensorView const& x, ConstTensorView const& w, ConstTensorView const& bias,
          TensorView const& y);
void quantise_rows(ConstTensorView const& w, TensorView const& w8, TensorView const& scales);
void gemm_scaled(ConstTensorView const& x, ConstTensorView const& w8, ConstTensorView const& scales,
                 ConstTensorView const& bias, TensorView const& y);
void gemm_quantised(QuantisedRows const& x, ConstTensorView const& w8,
                    ConstTensorView const& scales, ConstTensorView const& bias,
                    TensorView const& y);
/// For rms_norm and layer_norm; `bias` may have no data.
void norm(ConstTensorView const& x, ConstTensorView const& weight, ConstTensorView const& bias,
          TensorView const& y);
void add_norm(ConstTensorView const& residual, ConstTensorView const& delta,
              ConstTensorView const& weight, TensorView const& y);
void norm_quantised(ConstTensorView const& x, ConstTensorView const& weight,
                    ConstTensorView const& bias, QuantisedRows const& y);
void add_norm_quantised(ConstTensorView const& residual, ConstTensorView const& delta,
                        ConstTensorView const& weight, QuantisedRows const& y);
void square_sums(ConstTensorView const& x, ConstTensorView const& sums);
void scale_by_square_sums(ConstTensorView const& x, ConstTensorView const& sums, std::size_t width,
                          ConstTensorView const& weight);
void head_norm(ConstTensorView const& x, std::size_t head_dim, ConstTensorView const& weight);
void add(ConstTensorView const& x, ConstTensorView const& y);
void add_scaled(ConstTensorView const& x, ConstTensorView const& y, ConstTensorView const& scale);
void rotary(ConstTensorView const& x, std::size_t head_dim, ConstTensorView const& cos_sin);
void activation(ConstTensorView const& x, TensorView const& y);
void gated_activation(ConstTensorView const& gate, ConstTensorView const& up, TensorView const& y);

/// The two halves of the KV cache; they have the same shape, dtype and stride.
struct CacheViews {
    ConstTensorView k;
    ConstTensorView v;
};
void store_kv(ConstTensorView const& k, ConstTensorView const& v, CacheViews const& cache);
void prepare_attention(ConstTensorView const& qkv, AttentionShape const& shape);
void attention(ConstTensorView const& q, CacheViews const& cache, AttentionShape const& shape,
               TensorView const& y);
/// On top of attention(): each segment has one token at most.
void single_tokens(Segments const& segments);
/// Where the host can read the list: it stays inside the rows of activation and cache, and inside
/// its bounds.
void segments_inside(Segments const& segments, std::size_t rows, std::size_t cache_rows);

void cut_patches(ConstTensorView const& pixels, PatchShape const& shape, TensorView const& y);
void add_positions(ConstTensorView const& patches, ConstTensorView const& class_token,
                   ConstTensorView const& positions, TensorView const& y);
void pixel_shuffle(ConstTensorView const& x, ShuffleShape const& shape, TensorView const& y);
void gather_rows(ConstTensorView const& x, std::span<std::size_t const> rows, TensorView const& y);
void round(ConstTensorView const& x, TensorView const& y);
void sample(ConstTensorView const& logits, std::span<SamplingParams const> params,
            std::span<TokenLogprob> chosen);
void log_probabilities(ConstTensorView const& logits, std::span<std::int32_t const> tokens,
                       std::span<float> logprobs);
void top_log_probabilities(ConstTensorView const& logits, std::span<TokenLogprob> top);
void top_logits(ConstTensorView const& logits, std::size_t count, std::span<TokenLogit> top,
                std::span<float> log_sums);

}  // namespace tesserank::kernels::contracts
