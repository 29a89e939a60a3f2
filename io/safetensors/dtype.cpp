#include "io/safetensors/dtype.hpp"

#include <array>

namespace tesserank::io {
namespace {

struct Entry {
    std::string_view name;
    std::size_t bytes;
};

/// In the order of the enumeration.
constexpr std::array<Entry, 13> entries{{{"BOOL", 1},
                                         {"U8", 1},
                                         {"I8", 1},
                                         {"U16", 2},
                                         {"I16", 2},
                                         {"U32", 4},
                                         {"I32", 4},
                                         {"U64", 8},
                                         {"I64", 8},
                                         {"F16", 2},
                                         {"BF16", 2},
                                         {"F32", 4},
                                         {"F64", 8}}};

}  // namespace

std::optional<SafetensorsDType> safetensors_dtype_from_name(std::string_view name) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (entries[i].name == name) return static_cast<SafetensorsDType>(i);
    }
    return std::nullopt;
}

std::string_view name_of(SafetensorsDType dtype) {
    return entries[static_cast<std::size_t>(dtype)].name;
}

std::size_t size_of(SafetensorsDType dtype) {
    return entries[static_cast<std::size_t>(dtype)].bytes;
}

std::optional<kernels::DType> weight_dtype(SafetensorsDType dtype) {
    switch (dtype) {
        case SafetensorsDType::f16:
            return kernels::DType::f16;
        case SafetensorsDType::bf16:
            return kernels::DType::bf16;
        case SafetensorsDType::f32:
        case SafetensorsDType::f64:
            return kernels::DType::f32;
        default:
            return std::nullopt;
    }
}

}  // namespace tesserank::io
