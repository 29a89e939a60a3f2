#pragma once

#include "kernels/backend.hpp"
#include "model/decoder_config.hpp"
#include "model/kv_cache.hpp"
#include "model/module.hpp"
#include "model/placement.hpp"
#include "model/step.hpp"
#include "model/vocabulary.hpp"
#include "model/weight_source.hpp"
#include "model/weight_store.hpp"
#include "model/workspace.hpp"
#include "parallel/communicator.hpp"
#include "parallel/redistribute.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace tesserank::model {

/// What bounds a forward pass and the precision in which it computes.
struct TransformerOptions {
    kernels::DType compute =
        kernels::DType::f32;          ///< what GEMMs read and the KV cache holds: f32 or bf16
    std::size_t max_rows = 512;       ///< most tokens of one step
    std::size_t max_logit_rows = 64;  ///< most rows of logits at once
};

/// A decoder whose modules are placed by a plan. Every rank makes the same calls with the same
/// arguments.
class Transformer {
  public:
    /// Says what weights are needed and allocates them; load() fills them.
    /// Errors: InputError when the model file's tensors do not fit its config.
    Transformer(DecoderConfig config, PlacementPlan const& plan, kernels::Backend& backend,
                parallel::Communicator& ranks, WeightSource& source, TransformerOptions options);

    /// Collective: reads the weights.
    void load();

    /// Runs a step of at most max_rows tokens through all layers and stores their keys and values.
    /// Gives hidden states [outputs, H], normed, in the compute dtype, of the rows `outputs`; valid
    /// until the next call. Collective; communicates after every sharded module.
    parallel::Activation<parallel::Replicated> forward(Step const& step,
                                                       std::span<std::size_t const> outputs);

    /// Logits [rows, V] f32 of some of these states, at most max_logit_rows; valid until the next
    /// call. Collective.
    parallel::Activation<parallel::Replicated> logits(
        parallel::Activation<parallel::Replicated> states);

    DecoderConfig const& config() const { return config_; }
    TransformerOptions const& options() const { return options_; }
    KvCache& cache() { return cache_; }
    kernels::Backend& backend() { return backend_; }
    std::size_t weight_bytes() const { return weights_.bytes(); }

  private:
    struct Layer {
        kernels::ConstTensorView attention_norm, mlp_norm;
        std::unique_ptr<Module> attention, mlp;
    };

    void build_vocabulary(std::span<ModuleSpec const> modules, PlacementPlan const& plan);
    void build_layer(std::size_t index, std::span<ModuleSpec const> modules,
                     PlacementPlan const& plan);
    std::size_t workspace_bytes() const;
    kernels::TensorView upload_rotary(Step const& step);

    DecoderConfig config_;
    TransformerOptions options_;
    kernels::Backend& backend_;
    int rank_, size_;
    WeightStore weights_;
    parallel::Redistributor redistribute_;
    KvCache cache_;
    std::unique_ptr<Embedding> embedding_;
    std::vector<Layer> layers_;
    kernels::ConstTensorView final_norm_;
    std::unique_ptr<LmHead> lm_head_;
    std::unique_ptr<Workspace> workspace_;
    kernels::Tensor residual_, normed_, delta_, cos_sin_, local_logits_;
};

}  // namespace tesserank::model
