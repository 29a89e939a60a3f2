#pragma once

#include "parallel/communicator.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tesserank::parallel {

/// Communicator over MPI for host memory: the ranks' tensors on a host backend, and on every
/// backend what ranks tell each other besides tensors (errors, requests, chosen tokens). Owns a
/// private duplicate of the world.
class MpiCommunicator final : public Communicator {
  public:
    /// Elements (or bytes) that one MPI call moves at most: MPI 3 counts in int. Longer data goes
    /// in several calls.
    static constexpr std::size_t largest_message = std::size_t{1} << 30;

    /// Needs a running MpiSession. `message_limit` is the same on all ranks; tests lower it to see
    /// the path of long data. Collective over all ranks of the job.
    static MpiCommunicator world(std::size_t message_limit = largest_message);

    MpiCommunicator(MpiCommunicator&&) noexcept;
    MpiCommunicator& operator=(MpiCommunicator&&) noexcept;
    ~MpiCommunicator() override;

    int rank() const override;
    int size() const override;
    /// How many ranks run on this rank's node, this one included.
    int ranks_on_node() const;
    /// Which node each rank is on: the lowest rank of that node.
    std::vector<int> const& nodes() const;

    /// Never null: all that goes over this communicator, and over those that were made with it.
    CollectiveRing* ring() const override;
    /// From now on ranks compare each call before it begins: when they differ, all of them throw
    /// LogicError (Agreed) with the two calls, instead of waiting for ever or mixing up their data.
    /// Costs a message of about 200 bytes from each rank to each other per call. Collective. On
    /// from the start where the environment variable TESSERANK_CHECK_COLLECTIVES is set.
    void check_collectives();

    void barrier();
    /// The smallest value of all ranks.
    long long all_min(long long value);
    /// The sum over all ranks.
    long long all_sum(long long value);
    /// root's text, of any length, on every rank.
    std::string broadcast_text(std::string text, int root);

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

    struct State;
    explicit MpiCommunicator(std::unique_ptr<State> state);
    void all_reduce_staged(std::span<std::byte> data, kernels::DType dtype);
    void reduce_f32(float* data, std::size_t elements, int root);
    void reduce_scatter_f32(float const* data, std::span<std::size_t const> counts, float* mine);
    std::unique_ptr<State> state_;
};

}  // namespace tesserank::parallel
