#pragma once

#include "kernels/resident_decode.hpp"
#include "model/resident_step.hpp"

#include <cstddef>
#include <list>
#include <memory>

namespace tesserank::model {

/// The recordings of a model's steps, kept from batch to batch. They hold addresses of the model's
/// memory and calls of its communicator: whoever has this drops them before either goes, or moves.
///
/// Ranks that make the same steps keep the same ones, so that they record together, as collectives
/// may need it.
class RecordedSteps {
  public:
    /// Each takes memory of the device, and a batch that shrinks passes about ten numbers of rows,
    /// with few contexts each: enough for some kinds of batches in turn.
    static constexpr std::size_t most = 32;

    /// Of an equal step; null when there is none. Valid until the next add() or clear().
    kernels::Recording* find(ResidentStep const& step);
    /// In place of the one that was not used for longest when there are too many.
    kernels::Recording& add(ResidentStep step, std::unique_ptr<kernels::Recording> recording);
    void clear() { entries_.clear(); }
    std::size_t size() const { return entries_.size(); }

  private:
    struct Entry {
        ResidentStep step;
        std::unique_ptr<kernels::Recording> recording;
    };
    std::list<Entry> entries_;  ///< the last used first
};

}  // namespace tesserank::model
