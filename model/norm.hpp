#pragma once

#include "kernels/backend.hpp"

#include <cstdint>

namespace tesserank::model {

/// A norm of rows, whole on every rank.
struct Norm {
    enum class Kind : std::uint8_t { rms, layer };

    Kind kind = Kind::rms;
    kernels::ConstTensorView weight, bias;  ///< [1, H] each; bias of a layer norm alone
    float eps = 0.0F;

    /// x [T, H] f32, y [T, H] f32|bf16.
    void operator()(kernels::Backend& backend, kernels::ConstTensorView x,
                    kernels::TensorView y) const {
        if (kind == Kind::rms) {
            backend.rms_norm(x, weight, eps, y);
        } else {
            backend.layer_norm(x, weight, bias, eps, y);
        }
    }
    void operator()(kernels::Backend& backend, kernels::ConstTensorView x,
                    kernels::QuantisedRows const& y) const {
        if (kind == Kind::rms) {
            backend.rms_norm_quantised(x, weight, eps, y);
        } else {
            backend.layer_norm_quantised(x, weight, bias, eps, y);
        }
    }
};

}  // namespace tesserank::model
