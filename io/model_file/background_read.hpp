#pragma once

#include "io/input_file.hpp"
#include "io/model_file/block.hpp"

#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <span>

namespace tesserank::io {

/// Memory that is not cleared: it is read into.
class StagingBuffer {
  public:
    StagingBuffer() = default;
    explicit StagingBuffer(std::size_t bytes)
        : data_{std::make_unique_for_overwrite<std::byte[]>(bytes)}, bytes_{bytes} {}

    std::size_t bytes() const { return bytes_; }
    std::span<std::byte> first(std::size_t bytes) const;

  private:
    std::unique_ptr<std::byte[]> data_;
    std::size_t bytes_ = 0;
};

/// Reads and checks blocks in a thread of its own while its caller does something else. The thread
/// does nothing besides and makes no MPI calls; from start() to finish() the memory is its own.
class BackgroundRead {
  public:
    enum class When : std::uint8_t {
        now,     ///< in the thread
        at_end,  ///< by finish(): where no core is left for the thread
    };
    explicit BackgroundRead(InputFile const& file, When when = When::now)
        : file_{file}, when_{when} {}

    /// `blocks` stay where they are until finish().
    void start(std::span<Block const> blocks, std::span<std::byte> memory);
    /// Waits for what was started, and returns the seconds that it took. Errors: see read_checked.
    double finish() { return running_.get(); }

  private:
    InputFile const& file_;
    When when_;
    std::future<double> running_;  ///< waits for the thread when it is destroyed
};

}  // namespace tesserank::io
