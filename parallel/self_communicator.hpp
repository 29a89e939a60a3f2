#pragma once

#include "kernels/backend.hpp"
#include "parallel/communicator.hpp"

#include <cstddef>
#include <span>

namespace tesserank::parallel {

/// The communicator of a process that is alone, without MPI: nothing is sent.
class SelfCommunicator final : public Communicator {
  public:
    /// For host memory.
    SelfCommunicator() = default;
    /// For a backend's memory: copies are queued like its operations.
    explicit SelfCommunicator(kernels::Backend& backend) : backend_{&backend} {}

    bool queued() const override { return backend_ != nullptr; }
    int rank() const override { return 0; }
    int size() const override { return 1; }

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

    /// Both may be the same memory.
    void copy_piece(std::span<std::byte const> from, std::span<std::byte> to);

    kernels::Backend* backend_ = nullptr;
};

}  // namespace tesserank::parallel
