#pragma once

#include "parallel/communicator.hpp"
#include "tests/support/mpi_test.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <vector>

namespace tesserank::test {

/// A communicator, and the memory that it exchanges: what a test says of both holds for all of
/// them.
class ContractWorld {
  public:
    using Bytes = std::vector<std::byte>;

    virtual ~ContractWorld() = default;
    virtual parallel::Communicator& ranks() = 0;
    /// Lives as long as the world.
    virtual std::span<std::byte> allocate(std::size_t bytes) = 0;
    virtual void write(Bytes const& source, std::span<std::byte> destination) = 0;
    virtual Bytes read(std::span<std::byte const> source) = 0;

    std::span<std::byte> upload(Bytes const& source) {
        auto const memory = allocate(source.size());
        write(source, memory);
        return memory;
    }
};

struct ContractCase {
    std::string name;
    /// Collective over `world`.
    std::unique_ptr<ContractWorld> (*make)(parallel::MpiCommunicator& world);
};
inline std::ostream& operator<<(std::ostream& out, ContractCase const& contract_case) {
    return out << contract_case.name;
}

/// What communicator.hpp promises. The tests are in communicator_contract.cpp; each communicator's
/// own test instantiates them.
class CommunicatorContract : public MpiTest, public ::testing::WithParamInterface<ContractCase> {
  protected:
    std::unique_ptr<ContractWorld> device = GetParam().make(world);
    parallel::Communicator& ranks = device->ranks();
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CommunicatorContract);

}  // namespace tesserank::test
