#pragma once

#include "kernels/backend.hpp"
#include "kernels/buffer.hpp"
#include "parallel/mpi_communicator.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace tesserank::parallel {

/// How MPI gets at a backend's memory.
enum class MpiAccess {
    staged,  ///< through host memory
    direct,  ///< as it is: the MPI library reaches the device (mpi_reaches_cuda())
};

/// The part of every rank's piece that travels in one round through staging memory.
struct StagedRound {
    std::size_t begin = 0;           ///< within each piece
    std::vector<std::size_t> bytes;  ///< of each piece; less, or nothing, at its end
};

/// Communicator over MPI for the memory of a backend whose memory is not the host's: any number of
/// ranks may share a device. What passes through host memory does so in pieces of a bounded size,
/// one after the other, copied by the backend. With direct access, sums of bf16 and f16 (which MPI
/// does not know) and all_to_all are still staged.
class StagedCommunicator final : public Communicator {
  public:
    /// `staging` is host memory, pinned where copies are faster so; `ranks` and `backend` must
    /// outlive this. Both `staging`'s size and `access` are the same on all ranks.
    StagedCommunicator(MpiCommunicator& ranks, kernels::Backend& backend, kernels::Buffer staging,
                       MpiAccess access = MpiAccess::staged);

    int rank() const override { return ranks_.rank(); }
    int size() const override { return ranks_.size(); }
    CollectiveRing* ring() const override { return ranks_.ring(); }

  private:
    void do_all_reduce(std::span<std::byte> data, kernels::DType dtype) override;
    void do_reduce_scatter(std::span<std::byte> data, kernels::DType dtype,
                           std::span<std::size_t const> counts, std::span<std::byte> mine) override;
    void do_all_gather(std::span<std::byte const> mine, std::span<std::size_t const> bytes,
                       std::span<std::byte> all) override;
    void do_reduce(std::span<std::byte> data, kernels::DType dtype, int root) override;
    void do_gather(std::span<std::byte const> mine, std::span<std::size_t const> bytes,
                   std::span<std::byte> all, int root) override;
    void do_scatter(std::span<std::byte const> all, std::span<std::size_t const> bytes,
                    std::span<std::byte> mine, int root) override;
    void do_transfer(std::span<std::byte> data, int from, int to) override;
    void do_broadcast(std::span<std::byte> data, int root) override;
    void do_all_to_all(std::span<std::byte const> send, std::span<std::size_t const> send_bytes,
                       std::span<std::byte> received,
                       std::span<std::size_t const> received_bytes) override;

    /// Whether MPI takes the backend's memory for this; then waits until what is queued is done.
    bool direct(kernels::DType dtype);
    /// Calls work(piece of data, its staging memory) for all of data in turn.
    template <class Work>
    void in_turn(std::span<std::byte> data, Work const& work);
    /// The most bytes of one piece when so many pieces share the staging memory.
    std::size_t share(std::size_t pieces) const;

    void to_host(std::byte const* source, std::span<std::byte> destination);
    void to_device(std::span<std::byte const> source, std::byte* destination);
    /// The parts of all pieces, packed one behind the other in staging memory.
    void to_host(std::span<std::byte const> all, std::span<std::size_t const> bytes,
                 StagedRound const& round, std::span<std::byte> whole);
    void to_device(std::span<std::byte const> whole, std::span<std::byte> all,
                   std::span<std::size_t const> bytes, StagedRound const& round);
    void copy(std::span<std::byte const> from, std::span<std::byte> to);

    MpiCommunicator& ranks_;
    kernels::Backend& backend_;
    kernels::Buffer memory_;
    std::span<std::byte> staging_;
    MpiAccess access_;
};

}  // namespace tesserank::parallel
