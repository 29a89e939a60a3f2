#pragma once

#include "parallel/communicator.hpp"

#include <memory>
#include <string>

namespace tesserank::parallel {

/// Communicator over MPI for host memory: the ranks' tensors on a host backend, and on every
/// backend what ranks tell each other besides tensors (errors, requests, chosen tokens). Owns a
/// private duplicate of the world.
class MpiCommunicator final : public Communicator {
  public:
    /// Collective over all ranks of the job; needs a running MpiSession.
    static MpiCommunicator world();

    MpiCommunicator(MpiCommunicator&&) noexcept;
    MpiCommunicator& operator=(MpiCommunicator&&) noexcept;
    ~MpiCommunicator() override;

    int rank() const override;
    int size() const override;
    /// How many ranks run on this rank's node, this one included.
    int ranks_on_node() const;

    void all_reduce(std::span<std::byte> data, kernels::DType dtype) override;
    void reduce_scatter(std::span<std::byte> data, kernels::DType dtype,
                        std::span<std::size_t const> counts, std::span<std::byte> mine) override;
    void all_gather(std::span<std::byte const> mine, std::span<std::size_t const> bytes,
                    std::span<std::byte> all) override;
    void broadcast(std::span<std::byte> data, int root) override;
    void all_to_all(std::span<std::byte const> send, std::span<std::size_t const> send_bytes,
                    std::span<std::byte> received,
                    std::span<std::size_t const> received_bytes) override;

    void barrier();
    /// The smallest value of all ranks.
    long long all_min(long long value);
    /// The sum over all ranks.
    long long all_sum(long long value);
    /// root's text, of any length, on every rank.
    std::string broadcast_text(std::string text, int root);

  private:
    struct State;
    explicit MpiCommunicator(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace tesserank::parallel
