#pragma once

#include "parallel/mpi_communicator.hpp"

#include <cstddef>
#include <memory>
#include <span>

namespace tesserank::test {

/// MPI, said to be queued like a device's operations: true of a backend that queues nothing.
class QueuedWorld final : public parallel::Communicator {
    using Bytes = std::span<std::byte>;
    using ConstBytes = std::span<std::byte const>;
    using Counts = std::span<std::size_t const>;

  public:
    explicit QueuedWorld(parallel::MpiCommunicator& world) : world_{world} {}

    bool queued() const override { return true; }
    int rank() const override { return world_.rank(); }
    int size() const override { return world_.size(); }
    std::shared_ptr<void> register_memory(Bytes memory) override {
        if (memory.empty()) return {};
        registered += memory.size();
        return {memory.data(), [this, memory](void*) { registered -= memory.size(); }};
    }
    void do_all_reduce(Bytes data, kernels::DType dtype) override {
        world_.all_reduce(data, dtype);
    }
    void do_reduce_scatter(Bytes data, kernels::DType dtype, Counts counts, Bytes mine) override {
        world_.reduce_scatter(data, dtype, counts, mine);
    }
    void do_all_gather(ConstBytes mine, Counts bytes, Bytes all) override {
        world_.all_gather(mine, bytes, all);
    }
    void do_reduce(Bytes data, kernels::DType dtype, int root) override {
        world_.reduce(data, dtype, root);
    }
    void do_gather(ConstBytes mine, Counts bytes, Bytes all, int root) override {
        world_.gather(mine, bytes, all, root);
    }
    void do_scatter(ConstBytes all, Counts bytes, Bytes mine, int root) override {
        world_.scatter(all, bytes, mine, root);
    }
    void do_transfer(Bytes data, int from, int to) override { world_.transfer(data, from, to); }
    void do_broadcast(Bytes data, int root) override { world_.broadcast(data, root); }
    void do_all_to_all(ConstBytes send, Counts send_bytes, Bytes received,
                       Counts received_bytes) override {
        world_.all_to_all(send, send_bytes, received, received_bytes);
    }

    std::size_t registered = 0;  ///< bytes, now

  private:
    parallel::MpiCommunicator& world_;
};

}  // namespace tesserank::test
