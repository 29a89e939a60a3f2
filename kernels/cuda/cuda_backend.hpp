#pragma once

#include "kernels/backend.hpp"
#include "kernels/cuda/stream.hpp"
#include "kernels/resident_decode.hpp"

#include <cuda_runtime.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

namespace tesserank::kernels::cuda {

class CublasLt;

/// Backend for NVIDIA GPUs from compute capability 8.0 on. One stream; every operation is queued on
/// it. The thread that makes it, whose device becomes this one, makes all its calls. The
/// definitions are spread over the files of this folder by operation, each with its kernels.
class CudaBackend final : public Backend, public ResidentDecode {
  public:
    /// What one operation may take of scratch memory; it works in pieces where it needs more.
    static constexpr std::size_t scratch_capacity = std::size_t{64} << 20U;

    /// Errors: SystemError when there is no such device, it is too old, or a library is missing.
    explicit CudaBackend(int device);
    ~CudaBackend() override;

    std::string_view name() const override { return "cuda"; }
    cudaStream_t stream() const { return stream_.get(); }
    cudaDeviceProp const& properties() const { return properties_; }

    // memory.cpp
    Buffer allocate(std::size_t bytes) override;
    std::size_t memory_available() const override;
    void copy_from_host(std::span<std::byte const> source, std::byte* destination) override;
    Buffer allocate_staging(std::size_t bytes) override;
    void copy_from_staging(ConstTensorView source, TensorView destination) override;
    void copy_to_host(std::byte const* source, std::span<std::byte> destination) override;
    void synchronize() override;
    void set_watch(std::function<void(double)> const& watch) override;
    void copy(ConstTensorView source, TensorView destination) override;  // elementwise.cu

    // embedding.cu
    void embed(DeviceSpan<std::int32_t const> ids, ConstTensorView table, std::int32_t first_id,
               TensorView y) override;
    // gemm.cpp
    void gemm(ConstTensorView x, ConstTensorView w, ConstTensorView bias, TensorView y) override;
    void quantise_rows(ConstTensorView w, TensorView w8, TensorView scales) override;
    void gemm_scaled(ConstTensorView x, ConstTensorView w8, ConstTensorView scales,
                     ConstTensorView bias, TensorView y) override;
    bool quantises(QuantisedRows const& x, ConstTensorView w8, ConstTensorView scales,
                   ConstTensorView bias, TensorView y) override;
    void gemm_quantised(QuantisedRows const& x, ConstTensorView w8, ConstTensorView scales,
                        ConstTensorView bias, TensorView y) override;
    // norm.cu
    void rms_norm(ConstTensorView x, ConstTensorView weight, float eps, TensorView y) override;
    void add_rms_norm(TensorView residual, ConstTensorView delta, ConstTensorView weight, float eps,
                      TensorView y) override;
    void layer_norm(ConstTensorView x, ConstTensorView weight, ConstTensorView bias, float eps,
                    TensorView y) override;
    void rms_norm_quantised(ConstTensorView x, ConstTensorView weight, float eps,
                            QuantisedRows y) override;
    void add_rms_norm_quantised(TensorView residual, ConstTensorView delta, ConstTensorView weight,
                                float eps, QuantisedRows y) override;
    void layer_norm_quantised(ConstTensorView x, ConstTensorView weight, ConstTensorView bias,
                              float eps, QuantisedRows y) override;
    void square_sums(ConstTensorView x, TensorView y) override;
    void scale_by_square_sums(TensorView x, ConstTensorView sums, std::size_t width,
                              ConstTensorView weight, float eps) override;
    // elementwise.cu
    void add(TensorView x, ConstTensorView y) override;
    void add_scaled(TensorView x, ConstTensorView y, ConstTensorView scale) override;
    void activation(Activation kind, ConstTensorView x, TensorView y) override;
    void gated_activation(Activation kind, ConstTensorView gate, ConstTensorView up,
                          TensorView y) override;
    void gather_rows(ConstTensorView x, std::span<std::size_t const> rows, TensorView y) override;
    void round(ConstTensorView x, TensorView y) override;
    // prepare_attention.cu
    void head_rms_norm(TensorView x, std::size_t head_dim, ConstTensorView weight,
                       float eps) override;
    void rotary(TensorView x, std::size_t head_dim, ConstTensorView cos_sin) override;
    void store_kv(ConstTensorView k, ConstTensorView v, Segments const& segments,
                  TensorView k_cache, TensorView v_cache) override;
    void prepare_attention(TensorView qkv, AttentionShape const& shape, HeadNorms const& norms,
                           ConstTensorView cos_sin, Segments const& segments, TensorView k_cache,
                           TensorView v_cache) override;
    // attention_prefill.cu
    void attention_prefill(ConstTensorView q, ConstTensorView k_cache, ConstTensorView v_cache,
                           Segments const& segments, AttentionShape const& shape,
                           TensorView y) override;
    // attention_decode.cu
    void attention_decode(ConstTensorView q, ConstTensorView k_cache, ConstTensorView v_cache,
                          Segments const& segments, AttentionShape const& shape,
                          TensorView y) override;
    // vision.cu
    void cut_patches(ConstTensorView pixels, PatchShape const& shape, TensorView y) override;
    void add_positions(ConstTensorView patches, ConstTensorView class_token,
                       ConstTensorView positions, TensorView y) override;
    void pixel_shuffle(ConstTensorView x, ShuffleShape const& shape, TensorView y) override;
    // sampling.cu
    void sample(ConstTensorView logits, std::span<SamplingParams const> params,
                std::span<TokenLogprob> chosen) override;
    void log_probabilities(ConstTensorView logits, std::span<std::int32_t const> tokens,
                           std::span<float> logprobs) override;
    void top_log_probabilities(ConstTensorView logits, std::span<TokenLogprob> top) override;
    void top_logits(ConstTensorView logits, std::size_t count, std::span<TokenLogit> top,
                    std::span<float> log_sums) override;

    // resident_decode.cpp, resident_decode.cu
    ResidentDecode* resident_decode() override { return this; }
    std::unique_ptr<Recording> record(std::function<void()> const& work) override;
    std::unique_ptr<Landing> make_landing(std::size_t bytes) override;
    void top_logits(ConstTensorView logits, std::size_t count, std::int32_t first_id,
                    DeviceSpan<TokenLogit> top) override;
    void choose(ChoiceSource const& source, DecodeTable const& table,
                DeviceSpan<DecodeOutput> chosen, std::size_t top_count,
                DeviceSpan<TokenLogprob> top) override;
    void advance(DeviceSpan<DecodeOutput const> chosen, DecodeTable const& table) override;

    // peer_norms.cpp
    std::unique_ptr<PeerNorms> make_peer_norms(PeerPlace const& place) override;

  private:
    /// Device memory that no other operation writes before this one's work has run: for what it
    /// needs between its kernels, and for host spans on their way. Calls within one operation give
    /// different memory, scratch_capacity bytes in all; a later operation may get the same.
    std::byte* scratch(std::size_t bytes);
    /// Copies host elements to scratch memory.
    template <class T>
    DeviceSpan<T const> upload(std::span<T const> host) {
        std::byte* const device = scratch(host.size_bytes());
        copy_from_host(std::as_bytes(host), device);
        return {reinterpret_cast<T const*>(device), host.size()};
    }

    /// Whether rows of bf16 are quantised before they are multiplied with weights in fp8.
    bool quantises_for(ConstTensorView const& bias) const;

    int device_;
    cudaDeviceProp properties_{};
    Stream stream_;
    std::unique_ptr<CublasLt> cublas_lt_;
    struct Memory;
    std::unique_ptr<Memory> memory_;  ///< scratch and pinned staging
    /// Zeros between operations: a kernel that counts its blocks with them sets them back.
    static constexpr std::size_t counters = 8192;
    Buffer counters_;  ///< of 32 bits
};

}  // namespace tesserank::kernels::cuda
