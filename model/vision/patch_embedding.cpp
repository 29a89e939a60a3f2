#include "model/vision/patch_embedding.hpp"

#include "kernels/rows.hpp"
#include "model/vision/position_table.hpp"

#include <span>
#include <vector>

namespace tesserank::model {
namespace {

using kernels::DType;
using kernels::TensorView;

bool fits(VisionConfig const& config) { return config.side == config.table_side; }

/// All elements of a contiguous tensor in the backend's memory.
std::vector<float> to_floats(kernels::Backend& backend, kernels::ConstTensorView const& tensor) {
    std::vector<std::byte> bytes(tensor.bytes());
    backend.copy_to_host(tensor.data, bytes);
    auto host = tensor;
    host.data = bytes.data();
    std::vector<float> values(tensor.size());
    for (std::size_t row = 0; row < tensor.rows; ++row) {
        kernels::load_row(host, row, std::span(values).subspan(row * tensor.cols, tensor.cols));
    }
    return values;
}

}  // namespace

PatchEmbedding::PatchEmbedding(VisionConfig const& config, ModuleSpec const& spec,
                               PlacementPlan const& plan, int rank, kernels::Backend& backend,
                               WeightStore& weights)
    : from_side_{config.table_side / config.patch},
      to_side_{config.patches_across()},
      placement_{plan.of(spec.name)},
      cut_{config.hidden, plan.ranks},
      columns_{units_of(config.hidden, placement_, rank, plan.ranks).count},
      rank_{rank},
      patch_{weights.add_linear(spec, Role::patch, Role::patch_bias, placement_)},
      class_token_{weights.add(spec, Role::class_token, placement_)},
      positions_{weights.add(spec, Role::positions, placement_)} {
    if (!fits(config)) {
        fitted_ = make_tensor(backend, DType::f32, config.rows_per_tile(), columns_);
    }
}

void PatchEmbedding::fit_positions(kernels::Backend& backend) {
    auto const& view = fitted_.view;
    if (view.size() == 0) return;
    auto const table =
        resize_positions(to_floats(backend, positions_), view.cols, from_side_, to_side_);
    backend.copy_from_host(std::as_bytes(std::span(table)), view.data);
}

parallel::AnyActivation PatchEmbedding::forward(VisionContext& context,
                                                kernels::ConstTensorView patches,
                                                parallel::Layout const& rows,
                                                TensorView whole) const {
    auto result = parallel::part_of(whole, rows, rank_);
    if (placement_ == Placement::shard) {
        TensorView const packed{{whole.data, whole.dtype, whole.rows, columns_, columns_}};
        result = parallel::Activation<parallel::HiddenSharded>{packed, {cut_}};
    }
    auto const& y = parallel::local_of(result);
    if (y.size() == 0) return result;
    Workspace::Frame const frame(context.workspace);
    auto const product = context.workspace.take(DType::f32, patches.rows, y.cols);
    context.backend.gemm(patches, patch_.weight, patch_.bias, product);
    bool const fitted = fitted_.view.size() > 0;
    context.backend.add_positions(product, class_token_,
                                  fitted ? kernels::ConstTensorView(fitted_.view) : positions_, y);
    return result;
}

std::size_t fitted_position_bytes(VisionConfig const& config, std::size_t columns) {
    return fits(config) ? 0 : config.rows_per_tile() * columns * sizeof(float);
}

}  // namespace tesserank::model
