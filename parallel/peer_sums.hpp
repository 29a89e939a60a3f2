#pragma once

#include "kernels/backend.hpp"
#include "kernels/peer_norms.hpp"
#include "parallel/mpi_communicator.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace tesserank::parallel {

struct PeerSumOptions {
    /// Longer sums are left to the communicator.
    std::size_t most_bytes = std::size_t{256} << 10U;
    std::size_t sharers = 1;  ///< ranks on this rank's device, this one included
    double seconds = 120.0;  ///< so long may a wait for queued work take before it counts as failed
};

/// All-reduces of short activations that go on with the residual and the norm in one kernel: for
/// ranks of one node whose devices reach each other's memory. See kernels::PeerNorms.
class PeerSums {
  public:
    /// Collective over all ranks of the job. `world` and `backend` live longer.
    /// Errors: SystemError on all ranks when one of them is on another node or is not reached.
    PeerSums(MpiCommunicator& world, kernels::Backend& backend, PeerSumOptions const& options);
    /// Waits until all ranks have done what is queued, but not during unwinding: nobody reaches
    /// this rank's memory any more when it goes.
    ~PeerSums();
    PeerSums(PeerSums const&) = delete;
    PeerSums& operator=(PeerSums const&) = delete;

    /// Whether partial sums like these are taken: the same on all ranks.
    bool takes(kernels::ConstTensorView const& partial) const;

    /// residual += the sum over the ranks of `partial`, then y = rms_norm(residual).  residual,
    /// partial [T, H] f32 replicated and partial; y [T, H] replicated, the same bits on every rank.
    /// Queued. Counts as an all-reduce of partial's bytes; each rank reads (P-1) times as many.
    void add_rms_norm(kernels::TensorView const& residual, kernels::TensorView const& partial,
                      kernels::ConstTensorView const& weight, float eps,
                      kernels::TensorView const& y);

    /// See Communicator::check. What takes long is no failure as long as no kernel waits for a
    /// rank.
    void check(double seconds_waited);
    /// What is queued and waits for other ranks ends, now and from now on.
    void stop() noexcept { norms_->stop(); }

  private:
    void connect(std::span<kernels::PeerNorms::Address const> addresses);
    /// No rank has the memory of others any more. Collective.
    void disconnect();

    MpiCommunicator& world_;
    kernels::Backend& backend_;
    PeerSumOptions options_;
    int exceptions_;
    std::unique_ptr<kernels::PeerNorms> norms_;
    std::size_t most_rows_ = 0;
    std::string ended_;  ///< with which message, when it was given up
};

}  // namespace tesserank::parallel
