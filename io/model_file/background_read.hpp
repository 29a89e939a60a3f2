#pragma once

#include "io/input_file.hpp"
#include "io/model_file/block.hpp"
#include "kernels/backend.hpp"
#include "parallel/mpi_communicator.hpp"

#include <cstddef>
#include <future>
#include <span>
#include <vector>

namespace tesserank::io {

/// Memory of a backend's allocate_staging(): what is read goes to its device from here.
class StagingBuffer {
  public:
    StagingBuffer() = default;
    StagingBuffer(kernels::Backend& backend, std::size_t bytes)
        : memory_{backend.allocate_staging(bytes)}, bytes_{bytes} {}

    std::size_t bytes() const { return bytes_; }
    std::span<std::byte> first(std::size_t bytes) const;

  private:
    kernels::Buffer memory_;
    std::size_t bytes_ = 0;
};

/// How many threads of this rank can read while one exchanges or places: its share of the cores
/// that it may run on, but for that one; more than four gain nothing. 0 where MPI, which waits
/// busily, has the only one. Collective.
int spare_reading_threads(parallel::MpiCommunicator& ranks);

/// Reads and checks blocks in threads of its own while its caller does something else. They do
/// nothing besides and make no MPI calls; from start() to finish() the memory is theirs.
class BackgroundRead {
  public:
    /// Without threads, finish() reads: then reading and the rest only take turns.
    explicit BackgroundRead(InputFile const& file, int threads = 1)
        : file_{file}, threads_{threads} {}

    /// `blocks` stay where they are until finish().
    void start(std::span<Block const> blocks, std::span<std::byte> memory);
    /// Waits for what was started, and returns the seconds that it took. Errors: see read_checked.
    double finish();

  private:
    InputFile const& file_;
    int threads_;
    std::vector<std::future<double>> running_;  ///< wait for their threads when destroyed
};

}  // namespace tesserank::io
