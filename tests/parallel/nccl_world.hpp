#pragma once

#include "parallel/nccl.hpp"
#include "tests/parallel/communicator_contract.hpp"
#include "tests/support/nccl_double.hpp"
#include "tests/support/queued_backend.hpp"

#include <cuda_runtime.h>

#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace tesserank::test {

/// A stream of the emulated device; what is queued on it runs when somebody waits.
class TestStream {
  public:
    TestStream() { cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking); }
    ~TestStream() { cudaStreamDestroy(stream_); }
    TestStream(TestStream const&) = delete;
    TestStream& operator=(TestStream const&) = delete;
    cudaStream_t get() const { return stream_; }
    void synchronize() const { EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess); }

  private:
    cudaStream_t stream_ = nullptr;
};

/// Ranks of the emulated device behind the double of NCCL.
class NcclWorld final : public ContractWorld {
  public:
    NcclWorld(parallel::MpiCommunicator& world, parallel::NcclOptions const& options)
        : ranks_{parallel::make_nccl_communicator(world, stream.get(), options)} {}

    parallel::Communicator& ranks() override { return *ranks_; }
    std::span<std::byte> allocate(std::size_t bytes) override {
        return {memory_.emplace_back(backend.allocate(bytes)).get(), bytes};
    }
    /// Queued, as the calls of the communicator are: the host waits in read() alone.
    void write(Bytes const& source, std::span<std::byte> destination) override {
        backend.copy_from_host(source, destination.data());
    }
    Bytes read(std::span<std::byte const> source) override {
        Bytes bytes(source.size());
        backend.copy_to_host(source.data(), bytes);
        return bytes;
    }

    TestStream stream;
    QueuedBackend backend{stream.get()};

  private:
    std::vector<kernels::Buffer> memory_;
    std::unique_ptr<parallel::Communicator> ranks_;
};

}  // namespace tesserank::test
