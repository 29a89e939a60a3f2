#pragma once

#include "kernels/backend.hpp"

#include <cuda_runtime.h>

#include <cstddef>

namespace tesserank::kernels::cuda {

/// Heads side by side in the rows of an activation.
struct HeadColumns {
    std::byte* data = nullptr;
    std::size_t stride = 0;
    std::size_t heads = 0;
};

/// What happens to the heads of one token between the qkv GEMM and attention, or a part of it.
struct PrepareWork {
    DType dtype = DType::f32;  ///< of all heads: f32|bf16
    std::size_t tokens = 0, head_dim = 0;
    HeadColumns q{}, k{}, v{};
    HeadNorms norms{};
    ConstTensorView cos_sin{};             ///< no data: q and k are not rotated
    DeviceSpan<Segment const> segments{};  ///< none: nothing is stored
    TensorView k_cache{}, v_cache{};

    std::size_t heads() const { return q.heads + k.heads + v.heads; }
};

void launch_prepare(PrepareWork const& work, cudaStream_t stream);

}  // namespace tesserank::kernels::cuda
