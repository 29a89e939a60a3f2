#pragma once

#include "parallel/nccl_link.hpp"

#include <cstddef>
#include <memory>
#include <span>

namespace tesserank::parallel {

/// See make_nccl_communicator. Calls can be recorded into a CUDA graph, with two conditions: the
/// capture is thread-local or relaxed, since a NCCL whose host never blocks queues from a thread of
/// its own; and each kind of call has run once before, since the first one connects and allocates.
///
/// Even pieces are NCCL's own collectives; uneven ones are groups of sends and receives or, where a
/// sum is asked for, of reduces.
///
/// NCCL adds f32 in f32. bf16 and f16 it adds two terms at a time and rounds each time in its ring
/// and tree algorithms; in switches (NVLS) and in its kernels for symmetric memory it adds them in
/// f32 and rounds once (read in the source of NCCL 2.28). An element of an all-reduce is summed on
/// one rank and copied, or on each rank in the same order: the same bits everywhere.
class NcclCommunicator final : public Communicator {
  public:
    NcclCommunicator(MpiCommunicator& world, void* stream, NcclOptions const& options);

    int rank() const override { return link_.rank(); }
    int size() const override { return link_.size(); }
    bool queued() const override { return true; }
    CollectiveRing* ring() const override { return ring_; }
    std::shared_ptr<void> register_memory(std::span<std::byte> memory) override;

  private:
    void do_check(double seconds_waited) override { link_.check(seconds_waited); }
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

    // Of nothing, nothing: both ends know the size.
    void send(std::span<std::byte const> data, int to);
    void receive(std::span<std::byte> data, int from);
    /// Within a group: `to` becomes `from`, both on this rank.
    void copy(std::span<std::byte const> from, std::span<std::byte> to);
    void reduce_pieces(std::span<std::byte const> data, kernels::DType dtype,
                       std::span<std::size_t const> counts, std::span<std::byte> mine);

    CollectiveRing* ring_;
    NcclLink link_;
    NcclLibrary const& nccl_;
    cudaStream_t stream_;
    bool symmetric_memory_;
};

}  // namespace tesserank::parallel
