#pragma once

#include "model/vision/vision_encoder.hpp"
#include "parallel/mpi_communicator.hpp"

#include <cstddef>
#include <memory>
#include <span>

namespace tesserank::model {

/// The vision encoder of a model, which stays in memory or is there only while it works, and the
/// features of a batch's pictures. Every rank makes the same calls with the same arguments.
class Vision {
  public:
    /// Makes the encoder, whether it is kept or not: so a model file that does not fit its config,
    /// or too little memory, is found before anything runs. Errors: InputError.
    explicit Vision(VisionSetup const& setup);

    /// Reads the weights of an encoder that is kept; lets go of another one. Collective.
    void load();

    /// Turns rank 0's tiles into `count` features. An encoder that is not kept is there only
    /// meanwhile. Collective. Errors: SystemError on every rank where one has no memory.
    void encode(parallel::MpiCommunicator& ranks, std::span<Tile const> tiles, std::size_t count);

    /// [count, H] f32 of the last batch with pictures, the same on every rank.
    kernels::ConstTensorView features() const { return features_.view.rows_from(0, count_); }

    bool kept() const { return setup_.options.vision.keep; }

    /// Bytes on this rank, now.
    std::size_t weight_bytes() const { return encoder_ ? encoder_->weight_bytes() : 0; }
    std::size_t forward_bytes() const { return encoder_ ? encoder_->forward_bytes() : 0; }
    /// Of an encoder that is not kept, while it is loaded and works.
    std::size_t released_bytes() const { return released_bytes_; }

  private:
    void release();

    VisionSetup setup_;
    std::unique_ptr<VisionEncoder> encoder_;
    kernels::Tensor features_;  ///< with room for the largest batch so far
    std::size_t count_ = 0;
    std::size_t released_bytes_ = 0;
};

}  // namespace tesserank::model
