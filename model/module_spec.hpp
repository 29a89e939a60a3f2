#pragma once

#include "model/decoder_config.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::model {

enum class ModuleKind : std::uint8_t {
    embedding,
    norm,
    attention,
    mlp,
    lm_head,
    patch_embedding,  ///< where the vision encoder begins
    projector,        ///< where it ends
};

/// How the placement `shard` cuts a weight, seen as a matrix [rows, cols], over the units of its
/// module.
enum class Cut : std::uint8_t {
    none,  ///< whole on every rank that has units
    rows,  ///< a unit's rows: column-parallel (the output dimension of W [out, in] is its rows)
    cols,  ///< a unit's columns: row-parallel
    first_rank,  ///< on rank 0 alone: the bias of a row-parallel layer, which must be added once
};

/// What a weight is for. Weights of one role in one module are stacked by rows and used as one
/// matrix.
enum class Role : std::uint8_t {
    table,  ///< embedding rows, or the lm_head
    norm,
    norm_bias,
    scale,  ///< of a block's result, by column
    qkv,
    qkv_bias,
    query_norm,
    key_norm,
    output,
    output_bias,
    gate_up,
    gate_up_bias,
    up,  ///< of an MLP without a gate
    up_bias,
    down,
    down_bias,
    patch,  ///< a convolution of patches as a matrix [hidden, pixels of a patch]
    patch_bias,
    class_token,
    positions,
};

/// One tensor of a module, or a slice of its rows, by its original name.
struct WeightSpec {
    std::string tensor;
    Role role = Role::norm;
    std::size_t rows = 0;
    std::size_t cols = 1;  ///< 1 for vectors
    Cut cut = Cut::none;
    std::size_t rows_or_cols_per_unit = 1;
    std::size_t units_per_share =
        1;                ///< units that share one block: query heads of a kv head (GQA)
    bool vector = false;  ///< one dimension in the file
    /// Of a slice: the tensor's row and the module's unit with which it begins.
    std::size_t first_row = 0, first_unit = 0;
    /// In the file, where it is not [rows, cols], or [rows] of a vector: of a slice that of the
    /// whole tensor.
    std::vector<std::size_t> shape = {};

    std::vector<std::size_t> shape_in_file() const;
};

/// A named part of the model that owns weights and has a placement of its own. Its units are what a
/// cut never splits: query heads of attention, columns of an MLP, vocabulary rows of the embedding
/// and lm_head, columns of a patch embedding's result.
struct ModuleSpec {
    std::string name;  ///< e.g. "layers.3.attention"
    ModuleKind kind = ModuleKind::norm;
    std::size_t units = 0;
    std::vector<WeightSpec> weights;

    /// Whether a residual stream passes by it.
    bool has_stream() const { return kind == ModuleKind::attention || kind == ModuleKind::mlp; }
};

/// Whether the module of this name belongs to the vision encoder, whose batch is made of tiles, or
/// to the text model, whose batch is made of sequences.
constexpr bool is_vision(std::string_view module) { return module.starts_with("vision."); }

/// The name of a module in a layer, in parts: "vision.layers.3.mlp" is "vision.layers.", 3, "mlp".
struct LayerName {
    std::string_view stack;
    std::size_t layer = 0;
    std::string_view part;
};
/// nullopt for a module outside the layers.
std::optional<LayerName> layer_of(std::string_view module);

/// Every module of a model in the order in which it computes: the vision encoder, if there is one,
/// then the text model. No weights are needed.
std::vector<ModuleSpec> describe_modules(DecoderConfig const& config);

/// The text model alone. lm_head of a model with tied embeddings names the embedding's tensor.
std::vector<ModuleSpec> describe_text(DecoderConfig const& config);
/// The vision encoder alone, with its projector; empty where the model has none.
std::vector<ModuleSpec> describe_vision(DecoderConfig const& config);

/// Errors: LogicError when there is no module of this name.
ModuleSpec const& find_module(std::span<ModuleSpec const> modules, std::string_view name);

}  // namespace tesserank::model
