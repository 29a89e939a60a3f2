#include "model/calibration/bench.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace tesserank::model::calibration {
namespace {

/// Small and positive as f32, bf16 and f16.
constexpr std::uint16_t filling = 0x3C00;

constexpr std::size_t alignment = 64;

struct Reading {
    double seconds = 0, elapsed = 0;
};

double since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The largest of all ranks, of each number. Collective.
Reading slowest(parallel::Communicator& ranks, Reading const& mine) {
    std::vector<Reading> all(static_cast<std::size_t>(ranks.size()));
    std::vector<std::size_t> const bytes(all.size(), sizeof(Reading));
    ranks.all_gather(std::as_bytes(std::span(&mine, 1)), bytes,
                     std::as_writable_bytes(std::span(all)));
    Reading largest;
    for (auto const& reading : all) {
        largest.seconds = std::max(largest.seconds, reading.seconds);
        largest.elapsed = std::max(largest.elapsed, reading.elapsed);
    }
    return largest;
}

}  // namespace

Bench::Bench(kernels::Backend& backend, parallel::Communicator& ranks, std::size_t cold_bytes)
    : backend_{backend}, ranks_{ranks}, cold_bytes_{cold_bytes}, cold_{filled(cold_bytes)} {}

/// Memory whose pages are all its own: untouched pages of the system are one page of zeros.
kernels::Buffer Bench::filled(std::size_t bytes) {
    std::vector<std::uint16_t> const piece(std::size_t{1} << 16, filling);
    auto const source = std::as_bytes(std::span(piece));
    auto buffer = backend_.allocate(bytes);
    for (std::size_t done = 0; done < bytes; done += source.size()) {
        backend_.copy_from_host(source.first(std::min(source.size(), bytes - done)),
                                buffer.get() + done);
    }
    return buffer;
}

double Bench::seconds_of(Busy busy, std::function<void()> const& work) {
    slowest(ranks_, {});
    auto const start = Clock::now();
    if (busy == Busy::all || ranks_.rank() == 0) {
        work();
        backend_.synchronize();
    }
    auto const result = slowest(ranks_, {since(start), since(start_)});
    elapsed_ = result.elapsed;
    return result.seconds;
}

kernels::ConstTensorView Bench::cold(kernels::DType dtype, std::size_t rows, std::size_t cols) {
    std::size_t const bytes = rows * cols * kernels::size_of(dtype);
    kernels::require(bytes <= cold_bytes_, "more cold memory than there is");
    if (next_ + bytes > cold_bytes_) next_ = 0;
    kernels::TensorView const view{{cold_.get() + next_, dtype, rows, cols, cols}};
    next_ += (bytes + alignment - 1) / alignment * alignment;
    return view;
}

kernels::TensorView Bench::warm(std::size_t slot, kernels::DType dtype, std::size_t rows,
                                std::size_t cols) {
    std::size_t const bytes = rows * cols * kernels::size_of(dtype);
    auto& warm = warm_.at(slot);
    if (warm.bytes < bytes) {
        warm = {};
        warm = {filled(bytes), bytes};
    }
    return {{warm.buffer.get(), dtype, rows, cols, cols}};
}

}  // namespace tesserank::model::calibration
