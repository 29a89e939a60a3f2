#pragma once

#include "kernels/backend.hpp"

namespace tesserank::kernels {

/// What backends on host memory share: memory and transfers, and fp8, which is for GPUs and only
/// has to be right here. Nothing is queued.
class HostBackend : public Backend {
  public:
    Buffer allocate(std::size_t bytes) override;
    std::size_t memory_available() const override;
    void copy_from_host(std::span<std::byte const> source, std::byte* destination) override;
    void copy_to_host(std::byte const* source, std::span<std::byte> destination) override;
    void synchronize() override {}

    void quantise_rows(ConstTensorView w, TensorView w8, TensorView scales) override;
    void gemm_scaled(ConstTensorView x, ConstTensorView w8, ConstTensorView scales,
                     ConstTensorView bias, TensorView y) override;
    void gemm_quantised(QuantisedRows const& x, ConstTensorView w8, ConstTensorView scales,
                        ConstTensorView bias, TensorView y) override;
    void rms_norm_quantised(ConstTensorView x, ConstTensorView weight, float eps,
                            QuantisedRows y) override;
    void add_rms_norm_quantised(TensorView residual, ConstTensorView delta, ConstTensorView weight,
                                float eps, QuantisedRows y) override;
    void layer_norm_quantised(ConstTensorView x, ConstTensorView weight, ConstTensorView bias,
                              float eps, QuantisedRows y) override;
};

}  // namespace tesserank::kernels
