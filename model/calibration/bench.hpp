#pragma once

#include "kernels/backend.hpp"
#include "model/machine.hpp"
#include "parallel/communicator.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>

namespace tesserank::model::calibration {

/// Where things are measured: memory, and a clock that all ranks share.
class Bench {
  public:
    Bench(kernels::Backend& backend, parallel::Communicator& ranks, std::size_t cold_bytes);

    kernels::Backend& backend() { return backend_; }
    parallel::Communicator& ranks() { return ranks_; }

    /// Starts `work` on all ranks at once, or on rank 0 alone, and gives the slowest rank's
    /// seconds, on every rank. `work` may contain collectives when all are busy. Collective.
    double seconds_of(Busy busy, std::function<void()> const& work);
    /// Since the start, on the slowest rank, at the end of the last seconds_of().
    double elapsed() const { return elapsed_; }

    /// The next [rows, cols] of the memory that is read in turn.
    kernels::ConstTensorView cold(kernels::DType dtype, std::size_t rows, std::size_t cols);
    std::size_t cold_bytes() const { return cold_bytes_; }

    static constexpr std::size_t slots = 4;
    /// Memory that stays in the caches if it fits; each slot is one tensor, until it is asked for
    /// again.
    kernels::TensorView warm(std::size_t slot, kernels::DType dtype, std::size_t rows,
                             std::size_t cols);

  private:
    using Clock = std::chrono::steady_clock;
    kernels::Buffer filled(std::size_t bytes);

    kernels::Backend& backend_;
    parallel::Communicator& ranks_;
    Clock::time_point start_ = Clock::now();
    double elapsed_ = 0;
    std::size_t cold_bytes_, next_ = 0;
    kernels::Buffer cold_;
    struct Warm {
        kernels::Buffer buffer;
        std::size_t bytes = 0;
    };
    std::array<Warm, slots> warm_;
};

}  // namespace tesserank::model::calibration
