#pragma once

#include "kernels/backend.hpp"
#include "model/block.hpp"
#include "model/decoder_config.hpp"
#include "model/forward_memory.hpp"
#include "model/placement.hpp"
#include "model/vision/patch_embedding.hpp"
#include "model/vision/pixels.hpp"
#include "model/vision/vision_context.hpp"
#include "model/vision/vision_plan.hpp"
#include "model/weight_source.hpp"
#include "model/weight_store.hpp"
#include "model/workspace.hpp"
#include "parallel/communicator.hpp"
#include "parallel/redistribute.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace tesserank::model {

/// What a vision encoder is made from; all of it outlives the encoder. The plan's streams are
/// settled.
struct VisionSetup {
    DecoderConfig const& config;
    PlacementPlan const& plan;
    kernels::Backend& backend;
    parallel::Communicator& ranks;
    WeightSource& source;
    TransformerOptions const& options;
};

/// A vision transformer with its projector, whose modules are placed by a plan. Every rank makes
/// the same calls with the same arguments.
class VisionEncoder {
  public:
    /// Says what weights are needed and allocates them; load() fills them. Errors: InputError when
    /// the model file's tensors do not fit its config.
    explicit VisionEncoder(VisionSetup const& setup);
    VisionEncoder(VisionEncoder const&) = delete;
    VisionEncoder& operator=(VisionEncoder const&) = delete;

    /// Collective: reads the weights, and tells the communicator of what it will carry.
    void load();

    /// Encodes `count` tiles, which rank 0 has, tiles_at_once() at a time. features [count *
    /// features_per_tile, H] f32 becomes the same on every rank. Collective; see
    /// exchanges_of_tiles().
    void encode(std::span<Tile const> tiles, std::size_t count, kernels::TensorView features);

    /// Bytes on this rank.
    std::size_t weight_bytes() const { return weights_.bytes(); }
    /// Besides, until load() is done.
    std::size_t load_bytes() const { return weights_.load_bytes(); }
    std::size_t forward_bytes() const { return memory_.bytes(); }

  private:
    class Pass;

    void build_layer(std::size_t index, std::span<ModuleSpec const> modules);

    VisionSetup setup_;
    VisionConfig const& config_;
    int rank_;
    WeightStore weights_;
    parallel::Redistributor redistribute_;
    std::optional<PatchEmbedding> embedding_;
    std::vector<Block<VisionContext>> blocks_;
    std::unique_ptr<Module<VisionContext>> projector_;
    std::size_t at_once_;  ///< tiles
    VisionMemory memory_;
    Workspace workspace_;
    kernels::Tensor residual_, normed_, delta_, sum_;
    kernels::Buffer segments_;
    std::vector<float> planes_;                      ///< of a tile, on rank 0
    std::vector<std::shared_ptr<void>> registered_;  ///< of the memory above, alike on all ranks
};

}  // namespace tesserank::model
