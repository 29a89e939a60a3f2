#pragma once

#include "kernels/resident_decode.hpp"
#include "model/resident_step.hpp"
#include "model/resident_table.hpp"
#include "parallel/mpi_communicator.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace tesserank::model {

/// Decodes a batch whose state is on the device. A step (the pass over the model, its collectives,
/// the choice of tokens, the end of sequences) is recorded once and then replayed, by this batch
/// and by later ones; the next one is queued before the host looks at what the last one chose, so
/// that the device never waits for the host. When the running sequences fit fewer rows, the state
/// is written anew.
///
/// Ends by token or length are found on the device. Those by text are found on the choosing rank's
/// host, one step late; the token too many is dropped.
class ResidentLoop {
  public:
    ResidentLoop(Transformer& model, parallel::MpiCommunicator& ranks, StaticBatch& batch,
                 Chooser* chooser, ResidentTerms const& terms,
                 std::vector<double>* host_seconds = nullptr);

    /// Decodes these sequences, which rise, to their ends; with the newest token of each. The
    /// chooser collects what is chosen. Collective.
    void run(std::span<std::pair<std::size_t, std::int32_t> const> sequences);

  private:
    void run_table();
    void queue_step();
    std::unique_ptr<kernels::Recording> record(ResidentStep const& step);
    void take_step();
    std::vector<std::uint32_t> share_ended(std::vector<std::uint32_t> rows);
    void note_replay();
    /// The most tokens that a running sequence may still get.
    std::size_t tokens_left() const;
    std::size_t running() const;
    /// Whether a running sequence may end by its text.
    bool text_may_end_one() const;
    /// The most tokens that a row sees in the next step to be queued.
    std::size_t next_context() const;

    Transformer& model_;
    parallel::MpiCommunicator& hosts_;
    StaticBatch& batch_;
    Chooser* chooser_;
    ResidentTerms const& terms_;
    ResidentTable table_;

    std::vector<DecodingSequence> sequences_;  ///< of the table's rows, as of the last step taken
    ResidentStep step_;
    kernels::Recording* recording_ = nullptr;  ///< of step_, among those of the model
    std::size_t queued_ = 0, taken_ = 0;       ///< steps of this table

    std::vector<double>* host_seconds_;  ///< see BatchTools
    std::optional<std::chrono::steady_clock::time_point> last_replay_;
    double waited_ = 0.0;  ///< seconds since
};

}  // namespace tesserank::model
