#pragma once

#include "kernels/backend.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <span>

namespace tesserank::kernels {

/// Where a rank stands among those whose devices reach each other's memory.
struct PeerPlace {
    static constexpr int most_ranks = 8;

    int rank = 0, ranks = 1;
    std::size_t sharers = 1;  ///< ranks on this rank's device, this one included
};

/// Sums over the ranks with the norm behind them, in one kernel: each rank shows the others its
/// terms, waits for theirs, and adds all of them in the order of the ranks. For few and short rows,
/// where the time of a sum is that of starting it. Every rank makes the same calls with the same
/// shapes, and with addresses and strides of the same alignment: it decides in which order the
/// squares of a row are added, and ranks would round the norm differently. Operations are queued as
/// those of the backend; they can be recorded.
class PeerNorms {
  public:
    /// How another process reaches this rank's memory.
    using Address = std::array<std::byte, 64>;

    virtual ~PeerNorms() = default;

    /// Errors: SystemError when the device's memory is for this process alone.
    virtual Address address() const = 0;
    /// With the addresses of all ranks, before the first operation. Errors: SystemError when the
    /// device does not reach one of them.
    virtual void connect(std::span<Address const> addresses) = 0;
    /// Waits for what is queued, and lets go of the others' memory. When all have done so the
    /// memory may be freed.
    virtual void disconnect() noexcept = 0;

    /// The largest partial sums that the operations take.
    virtual std::size_t most_rows() const = 0;
    virtual std::size_t most_cols() const = 0;

    /// residual += the sum over the ranks of `partial`, then y = rms_norm(residual); see
    /// Backend::add_rms_norm.  residual, partial [T, H] f32.
    virtual void add_rms_norm(TensorView residual, ConstTensorView partial, ConstTensorView weight,
                              float eps, TensorView y) = 0;

    /// Kernels that wait for other ranks end, now and from now on, without their result: for who
    /// has an error to tell. From any thread.
    virtual void stop() noexcept = 0;
    /// A rank for which a kernel has been waiting for more than a moment.
    virtual std::optional<int> missing() const = 0;
};

}  // namespace tesserank::kernels
