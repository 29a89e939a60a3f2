#pragma once

#include "kernels/contracts.hpp"
#include "kernels/host_backend.hpp"
#include "kernels/kokkos/isa/kernel_table.hpp"

#include <vector>

namespace tesserank::kernels::kokkos {

/// Runs on Kokkos' default host space; GEMM and attention use kernels chosen for this CPU.
class KokkosBackend final : public HostBackend {
  public:
    KokkosBackend();
    void synchronize() override;

    std::string_view name() const override { return "kokkos"; }
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

  private:
    void attend(ConstTensorView q, contracts::CacheViews const& cache, Segments const& segments,
                AttentionShape const& shape, TensorView y);

    isa::KernelTable const* kernels_;
    std::vector<float> gemm_scratch_;  ///< grows to the largest need, which is bounded
};

}  // namespace tesserank::kernels::kokkos
