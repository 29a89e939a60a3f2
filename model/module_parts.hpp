#pragma once

#include "model/module_spec.hpp"

#include <cstddef>
#include <string>

namespace tesserank::model {

/// What modules are described with.

WeightSpec vector_spec(std::string tensor, Role role, std::size_t size);

struct LinearSpec {
    Role weight, bias;
    std::size_t rows = 0, cols = 0;
    Cut cut = Cut::rows;
    std::size_t per_unit = 1;
    std::size_t share = 1;
    /// Of a slice of a tensor with `tensor_rows` rows; see WeightSpec.
    std::size_t first_row = 0, first_unit = 0, tensor_rows = 0;
};

/// Adds a linear layer [rows, cols] with an optional bias to a module. The bias of a row-parallel
/// layer is added to one rank's part of the sum only.
void add_linear(ModuleSpec& module, std::string const& tensor, LinearSpec const& linear,
                bool has_bias);

}  // namespace tesserank::model
