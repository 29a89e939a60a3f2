#include "model/module_parts.hpp"

#include <utility>

namespace tesserank::model {
namespace {

WeightSpec slice_of(WeightSpec weight, LinearSpec const& linear) {
    weight.rows_or_cols_per_unit = linear.per_unit;
    weight.units_per_share = linear.share;
    weight.first_row = linear.first_row;
    weight.first_unit = linear.first_unit;
    if (linear.tensor_rows == 0) return weight;
    weight.shape = {linear.tensor_rows};
    if (!weight.vector) weight.shape.push_back(weight.cols);
    return weight;
}

}  // namespace

WeightSpec vector_spec(std::string tensor, Role role, std::size_t size) {
    return {.tensor = std::move(tensor), .role = role, .rows = size, .vector = true};
}

void add_linear(ModuleSpec& module, std::string const& tensor, LinearSpec const& linear,
                bool has_bias) {
    module.weights.push_back(slice_of({.tensor = tensor + ".weight",
                                       .role = linear.weight,
                                       .rows = linear.rows,
                                       .cols = linear.cols,
                                       .cut = linear.cut},
                                      linear));
    if (!has_bias) return;
    auto bias = vector_spec(tensor + ".bias", linear.bias, linear.rows);
    bias.cut = linear.cut == Cut::cols ? Cut::first_rank : linear.cut;
    module.weights.push_back(slice_of(std::move(bias), linear));
}

}  // namespace tesserank::model
