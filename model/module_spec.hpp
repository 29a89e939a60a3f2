#pragma once

#include "model/decoder_config.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tesserank::model {

enum class ModuleKind : std::uint8_t { embedding, norm, attention, mlp, lm_head };

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
    qkv,
    qkv_bias,
    query_norm,
    key_norm,
    output,
    output_bias,
    gate_up,
    gate_up_bias,
    down,
    down_bias,
};

/// One tensor of a module, by its original name.
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
};

/// A named part of the model that owns weights and has a placement of its own. Its units are what a
/// cut never splits: query heads of attention, columns of an MLP, vocabulary rows of the embedding
/// and lm_head.
struct ModuleSpec {
    std::string name;  ///< e.g. "layers.3.attention"
    ModuleKind kind = ModuleKind::norm;
    std::size_t units = 0;
    std::vector<WeightSpec> weights;
};

/// Every module of a decoder in the order in which it computes. No weights are needed. lm_head of a
/// model with tied embeddings names the embedding's tensor.
std::vector<ModuleSpec> describe_modules(DecoderConfig const& config);

}  // namespace tesserank::model
