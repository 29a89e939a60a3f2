#pragma once

#include "kernels/backend.hpp"
#include "model/step.hpp"
#include "parallel/partition.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace tesserank::model {

/// A step as operations read it: in the backend's memory.
struct DeviceStep {
    Step::Phase phase = Step::Phase::prefill;
    kernels::DeviceSpan<std::int32_t const> ids;  ///< [T]
    kernels::Segments all;                        ///< cover the T rows
    kernels::Segments own;             ///< of the sequences that this rank owns, as it sees them
    kernels::ConstTensorView cos_sin;  ///< [T, D] f32
    parallel::Partition deal;          ///< rows by owner
    std::span<FeatureRows const> features = {};  ///< of the step that was uploaded
};

/// Memory for the inputs of a step, which the next one overwrites.
class StepMemory {
  public:
    struct Size {
        std::size_t rows = 0, head_dim = 0;
        bool deals = false;  ///< sequences are dealt out, so that a rank's own are listed too

        /// What a StepMemory allocates: an id, the rotations and a segment for each row, as if each
        /// were a sequence of its own.
        std::size_t bytes() const;
    };
    StepMemory(kernels::Backend& backend, Size size);

    /// Copies a step of at most `rows` rows; `owner` is this rank's part of its deal.
    DeviceStep upload(Step const& step, int owner);

  private:
    kernels::Segments upload(std::span<kernels::Segment const> list, kernels::Buffer const& place);

    kernels::Backend& backend_;
    Size size_;
    kernels::Buffer ids_, all_, own_;
    kernels::Tensor cos_sin_;
};

}  // namespace tesserank::model
