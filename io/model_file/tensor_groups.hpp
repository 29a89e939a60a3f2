#pragma once

#include "io/model_file/model_index.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace tesserank::io {

/// Tensors of one dtype and shape whose names differ in numbers alone.
struct TensorGroup {
    std::string name;  ///< "model.layers.{0-31}.mlp.up_proj.weight"
    StoredTensor const* example = nullptr;
    std::size_t count = 0;
};

/// In the order in which the first of each group appears.
std::vector<TensorGroup> group_tensors(std::span<StoredTensor const> tensors);

}  // namespace tesserank::io
