#pragma once

#include "kernels/backend.hpp"
#include "model/static_batch.hpp"
#include "parallel/layout.hpp"
#include "parallel/mpi_communicator.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace tesserank::model {

/// Finds the first module whose output for a sequence is not finite: NaN, an infinity, or so large
/// that the sum of a row's squares is none in f32. For the search for a mistake: each look waits
/// for the backend. Every rank has one and makes the same calls.
class FiniteCheck {
  public:
    /// For steps of at most `max_rows` rows.
    FiniteCheck(kernels::Backend& backend, std::size_t max_rows);

    /// Forgets what was found in the batch before.
    void begin_batch(StaticBatch const& batch);
    /// Modules look at this step's rows from now on, in the same order as in the step before.
    void begin_step(Step const& step);
    /// Looks at this rank's part of a module's output y [T, H].
    void look(std::string const& module, parallel::AnyActivation const& y, int rank);

    /// Tells the choosing rank what all of them have found. Collective; each rank sends 4 bytes for
    /// each sequence of the batch.
    void share(parallel::MpiCommunicator& ranks);
    /// On the choosing rank, after share(); empty: none.
    std::string culprit(std::size_t sequence) const;

  private:
    static constexpr auto none = std::numeric_limits<std::uint32_t>::max();

    /// Of a row of the step.
    std::size_t sequence_of(std::size_t row) const;

    kernels::Backend& backend_;
    kernels::Tensor sums_;  ///< [max_rows, 1]
    std::vector<float> host_sums_;
    std::vector<std::size_t> first_cache_rows_;  ///< by sequence, rising
    std::vector<kernels::Segment> segments_;     ///< of the step
    std::vector<std::string> modules_;           ///< in the order of their looks
    std::size_t looks_ = 0;                      ///< in this step
    std::vector<std::uint32_t> first_bad_;       ///< of modules_, by sequence
};

/// Why a sequence whose logits are not finite has no result; `check` may be null.
std::string not_finite_message(FiniteCheck const* check, std::size_t sequence);

}  // namespace tesserank::model
