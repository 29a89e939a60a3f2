#pragma once

#include "kernels/backend.hpp"
#include "model/block.hpp"
#include "model/decode_memory.hpp"
#include "model/decoder_config.hpp"
#include "model/device_step.hpp"
#include "model/finite_check.hpp"
#include "model/forward_memory.hpp"
#include "model/kv_cache.hpp"
#include "model/placement.hpp"
#include "model/recorded_steps.hpp"
#include "model/step.hpp"
#include "model/text_context.hpp"
#include "model/vision/vision.hpp"
#include "model/vocabulary.hpp"
#include "model/weight_source.hpp"
#include "model/weight_store.hpp"
#include "model/workspace.hpp"
#include "parallel/communicator.hpp"
#include "parallel/redistribute.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tesserank::model {

/// A decoder whose modules are placed by a plan, with the vision encoder of a model that has one.
/// Every rank makes the same calls with the same arguments.
class Transformer {
  public:
    /// Says what weights are needed and allocates them; load() fills them. The plan's streams are
    /// settled. Errors: InputError when the model file's tensors do not fit its config.
    Transformer(DecoderConfig config, PlacementPlan plan, kernels::Backend& backend,
                parallel::Communicator& ranks, WeightSource& source, TransformerOptions options);

    Transformer(Transformer const&) = delete;
    Transformer& operator=(Transformer const&) = delete;

    /// Collective: reads the weights, and tells the communicator of what it will carry.
    void load();

    /// Turns rank 0's tiles into `features` features, as many as every rank knows there will be:
    /// those that steps refer to until the next call. Where the encoder is not kept, keys and
    /// values and the state of resident decoding give way to it. Collective. Errors: SystemError on
    /// every rank where one has no memory.
    void encode(parallel::MpiCommunicator& ranks, std::span<Tile const> tiles,
                std::size_t features);
    /// [all features of the batch, H] f32, the same on every rank.
    kernels::ConstTensorView features() const;

    /// Runs a step of at most max_rows tokens through all layers and stores their keys and values.
    /// Gives hidden states [outputs, H], normed, in the compute dtype and in the layout that the
    /// lm_head takes, of the rows `outputs` (rising); valid until the next call. Collective.
    parallel::AnyActivation forward(Step const& step, std::span<std::size_t const> outputs);
    /// The same of a step whose inputs are in the backend's memory: the states of all its rows.
    /// Does nothing on the host but queue operations.
    parallel::AnyActivation forward(DeviceStep const& step);

    /// What this rank computes of the logits [count, V] f32 of the states from row `first` on, at
    /// most max_logit_rows; valid until the next call. No communication.
    parallel::AnyActivation local_logits(parallel::AnyActivation const& states, std::size_t first,
                                         std::size_t count);

    /// Brings them together on the choosing rank: [count, V]. Collective.
    parallel::Activation<parallel::OnRank> whole_logits(parallel::AnyActivation const& local);

    /// Over how many ranks a batch is to be dealt out.
    int owners() const { return plan_.owners(); }
    /// Makes room for a batch's keys and values.
    void reserve_cache(std::size_t all, std::span<std::size_t const> dealt);
    /// Makes room for the state of so many sequences that the device decodes by itself; does
    /// nothing where the host decides each step.
    void reserve_decode(std::size_t sequences);
    DecodeMemory const& decode_memory() const { return decode_; }
    /// Of this model; they are gone when the memory that they point at moves.
    RecordedSteps& recorded_steps() { return recorded_; }

    DecoderConfig const& config() const { return config_; }
    PlacementPlan const& plan() const { return plan_; }
    TransformerOptions const& options() const { return options_; }
    kernels::Backend& backend() { return backend_; }
    /// Null unless the options ask for it.
    FiniteCheck* finite_check() { return finite_ ? &*finite_ : nullptr; }
    /// What carries tensors between the ranks.
    parallel::Communicator& ranks() { return ranks_; }

    /// Bytes on this rank, now.
    std::size_t weight_bytes() const;
    std::size_t forward_bytes() const;
    /// Of a vision encoder that is not kept, while it is loaded and works.
    std::size_t released_bytes() const { return vision_ ? vision_->released_bytes() : 0; }
    std::size_t cache_bytes(std::size_t all, std::size_t own) const {
        return cache_.bytes(all, own);
    }
    std::size_t decode_bytes(std::size_t sequences) const;

  private:
    class Pass;

    Norm norm_of(ModuleSpec const& spec);
    void build_vocabulary(std::span<ModuleSpec const> modules);
    void build_layer(std::size_t index, std::span<ModuleSpec const> modules);
    kernels::Tensor allocate(ForwardMemory::Buffer const& buffer);

    DecoderConfig config_;
    PlacementPlan plan_;
    TransformerOptions options_;
    kernels::Backend& backend_;
    parallel::Communicator& ranks_;
    int rank_;
    WeightStore weights_;
    parallel::Redistributor redistribute_;
    KvCache cache_;
    DecodeMemory decode_;
    std::optional<Embedding> embedding_;
    std::vector<Block<TextContext>> blocks_;
    Norm final_norm_;
    std::optional<LmHead> lm_head_;
    ForwardMemory memory_;
    Workspace workspace_;
    StepMemory inputs_;
    std::optional<FiniteCheck> finite_;
    kernels::Tensor residual_, normed_, delta_, sum_, local_logits_, logits_, pieces_;
    std::optional<Vision> vision_;
    std::vector<std::shared_ptr<void>> registered_;  ///< of the memory above, alike on all ranks
    std::vector<std::size_t> most_cached_;           ///< tokens reserved: all, and of each owner
    std::vector<std::size_t> most_decoded_;          ///< rows reserved
    RecordedSteps recorded_;  ///< last, so that it goes first: it points at all of this
};

}  // namespace tesserank::model
