#pragma once

#include "kernels/dtype.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tesserank::io {

/// Element types that may stand in a safetensors header. Only the floats are weights.
enum class SafetensorsDType : std::uint8_t {
    boolean,
    u8,
    i8,
    u16,
    i16,
    u32,
    i32,
    u64,
    i64,
    f16,
    bf16,
    f32,
    f64
};

/// "BF16" and so on; nullopt for a type that is not in the list (8-bit floats are not).
std::optional<SafetensorsDType> safetensors_dtype_from_name(std::string_view name);
std::string_view name_of(SafetensorsDType dtype);
/// Bytes of one element.
std::size_t size_of(SafetensorsDType dtype);

/// How a model file keeps such numbers: f64 becomes f32. nullopt: not a floating-point type.
std::optional<kernels::DType> weight_dtype(SafetensorsDType dtype);

}  // namespace tesserank::io
