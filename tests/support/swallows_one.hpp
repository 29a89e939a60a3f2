#pragma once

#include "parallel/communicator.hpp"

#include <cstddef>
#include <span>

namespace tesserank::test {

/// Hands everything on, but for one collective, which it swallows on every rank.
class SwallowsOne final : public parallel::Communicator {
  public:
    static constexpr std::size_t none = static_cast<std::size_t>(-1);

    SwallowsOne(parallel::Communicator& ranks, std::size_t swallowed)
        : ranks_{ranks}, swallowed_{swallowed} {}
    std::size_t calls() const { return calls_; }

    int rank() const override { return ranks_.rank(); }
    int size() const override { return ranks_.size(); }
    void all_reduce(std::span<std::byte> data, kernels::DType dtype) override {
        if (passes()) ranks_.all_reduce(data, dtype);
    }
    void reduce_scatter(std::span<std::byte> data, kernels::DType dtype,
                        std::span<std::size_t const> counts, std::span<std::byte> mine) override {
        if (passes()) ranks_.reduce_scatter(data, dtype, counts, mine);
    }
    void reduce(std::span<std::byte> data, kernels::DType dtype, int root) override {
        if (passes()) ranks_.reduce(data, dtype, root);
    }
    void all_gather(std::span<std::byte const> mine, std::span<std::size_t const> bytes,
                    std::span<std::byte> all) override {
        if (passes()) ranks_.all_gather(mine, bytes, all);
    }
    void gather(std::span<std::byte const> mine, std::span<std::size_t const> bytes,
                std::span<std::byte> all, int root) override {
        if (passes()) ranks_.gather(mine, bytes, all, root);
    }
    void scatter(std::span<std::byte const> all, std::span<std::size_t const> bytes,
                 std::span<std::byte> mine, int root) override {
        if (passes()) ranks_.scatter(all, bytes, mine, root);
    }
    void transfer(std::span<std::byte> data, int from, int to) override {
        if (passes()) ranks_.transfer(data, from, to);
    }
    void broadcast(std::span<std::byte> data, int root) override {
        if (passes()) ranks_.broadcast(data, root);
    }
    void all_to_all(std::span<std::byte const> send, std::span<std::size_t const> send_bytes,
                    std::span<std::byte> received,
                    std::span<std::size_t const> received_bytes) override {
        if (passes()) ranks_.all_to_all(send, send_bytes, received, received_bytes);
    }

  private:
    bool passes() { return calls_++ != swallowed_; }

    parallel::Communicator& ranks_;
    std::size_t swallowed_;
    std::size_t calls_ = 0;
};

}  // namespace tesserank::test
