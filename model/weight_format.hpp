#pragma once

#include "kernels/dtype.hpp"
#include "model/module_spec.hpp"

#include <cstddef>
#include <cstdint>

namespace tesserank::model {

/// In what the weights of the linear layers inside attention, MLP and projector are held. All
/// others, and biases, keep the dtype of the file.
enum class WeightFormat : std::uint8_t {
    file,  ///< as stored
    fp8,   ///< f8e4m3 with an f32 scale for each row; see Backend::quantise_rows
};

/// Whether weights of this role are quantised when they are loaded.
constexpr bool is_quantised(WeightFormat format, Role role) {
    if (format == WeightFormat::file) return false;
    return role == Role::qkv || role == Role::output || role == Role::gate_up || role == Role::up ||
           role == Role::down;
}

/// What [rows, cols] of a weight take. Where a rank has nothing of it there are no scales either.
constexpr std::size_t bytes_held(WeightFormat format, WeightSpec const& weight,
                                 kernels::DType stored, std::size_t rows, std::size_t cols) {
    if (!is_quantised(format, weight.role)) return rows * cols * kernels::size_of(stored);
    return rows * cols == 0 ? 0 : rows * (cols + sizeof(float));
}

/// What weights of one role in a module take, as the file has them, of the buffer in which they
/// wait for their quantisation: each matrix begins as aligned as if it were allocated.
constexpr std::size_t bytes_waiting(std::size_t bytes) {
    constexpr std::size_t alignment = 64;
    return (bytes + alignment - 1) / alignment * alignment;
}

}  // namespace tesserank::model
