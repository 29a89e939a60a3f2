#pragma once

#include "kernels/host_backend.hpp"

namespace tesserank::kernels::reference {

/// Plain loops that say what each operation means. Sums are accumulated in double, so that the
/// difference to another backend is that backend's rounding.
class ReferenceBackend : public HostBackend {
  public:
    std::string_view name() const override { return "reference"; }
    void copy(ConstTensorView source, TensorView destination) override;
    void embed(DeviceSpan<std::int32_t const> ids, ConstTensorView table, std::int32_t first_id,
               TensorView y) override;
    void gemm(ConstTensorView x, ConstTensorView w, ConstTensorView bias, TensorView y) override;
    void rms_norm(ConstTensorView x, ConstTensorView weight, float eps, TensorView y) override;
    void add_rms_norm(TensorView residual, ConstTensorView delta, ConstTensorView weight, float eps,
                      TensorView y) override;
    void head_rms_norm(TensorView x, std::size_t head_dim, ConstTensorView weight,
                       float eps) override;
    void square_sums(ConstTensorView x, TensorView y) override;
    void scale_by_square_sums(TensorView x, ConstTensorView sums, std::size_t width,
                              ConstTensorView weight, float eps) override;
    void layer_norm(ConstTensorView x, ConstTensorView weight, ConstTensorView bias, float eps,
                    TensorView y) override;
    void add(TensorView x, ConstTensorView y) override;
    void add_scaled(TensorView x, ConstTensorView y, ConstTensorView scale) override;
    void rotary(TensorView x, std::size_t head_dim, ConstTensorView cos_sin) override;
    void activation(Activation kind, ConstTensorView x, TensorView y) override;
    void gated_activation(Activation kind, ConstTensorView gate, ConstTensorView up,
                          TensorView y) override;
    void store_kv(ConstTensorView k, ConstTensorView v, Segments const& segments,
                  TensorView k_cache, TensorView v_cache) override;
    void attention_prefill(ConstTensorView q, ConstTensorView k_cache, ConstTensorView v_cache,
                           Segments const& segments, AttentionShape const& shape,
                           TensorView y) override;
    void attention_decode(ConstTensorView q, ConstTensorView k_cache, ConstTensorView v_cache,
                          Segments const& segments, AttentionShape const& shape,
                          TensorView y) override;
    void cut_patches(ConstTensorView pixels, PatchShape const& shape, TensorView y) override;
    void add_positions(ConstTensorView patches, ConstTensorView class_token,
                       ConstTensorView positions, TensorView y) override;
    void pixel_shuffle(ConstTensorView x, ShuffleShape const& shape, TensorView y) override;
    void gather_rows(ConstTensorView x, std::span<std::size_t const> rows, TensorView y) override;
    void round(ConstTensorView x, TensorView y) override;
    void sample(ConstTensorView logits, std::span<SamplingParams const> params,
                std::span<TokenLogprob> chosen) override;
    void log_probabilities(ConstTensorView logits, std::span<std::int32_t const> tokens,
                           std::span<float> logprobs) override;
    void top_log_probabilities(ConstTensorView logits, std::span<TokenLogprob> top) override;
    void top_logits(ConstTensorView logits, std::size_t count, std::span<TokenLogit> top,
                    std::span<float> log_sums) override;
};

}  // namespace tesserank::kernels::reference
