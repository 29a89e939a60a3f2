#pragma once

#include "tests/parallel/communicator_contract.hpp"

#include <algorithm>
#include <list>
#include <utility>

namespace tesserank::test {

/// Ranks that exchange host memory over MPI.
class HostWorld final : public ContractWorld {
  public:
    explicit HostWorld(parallel::MpiCommunicator ranks) : ranks_{std::move(ranks)} {}

    parallel::Communicator& ranks() override { return ranks_; }
    std::span<std::byte> allocate(std::size_t bytes) override {
        return memory_.emplace_back(bytes);
    }
    void write(Bytes const& source, std::span<std::byte> destination) override {
        std::ranges::copy(source, destination.begin());
    }
    Bytes read(std::span<std::byte const> source) override {
        return {source.begin(), source.end()};
    }

  private:
    parallel::MpiCommunicator ranks_;
    std::list<Bytes> memory_;
};

}  // namespace tesserank::test
