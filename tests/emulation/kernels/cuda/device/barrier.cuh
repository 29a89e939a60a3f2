#pragma once

#include "tests/emulation/executor.hpp"

#include <cstdint>

namespace tesserank::kernels::cuda {

/// Bit 0 is the parity of the running phase; above it the arrivals of a phase, and those that are
/// missing of this one, 16 bits each.
using Barrier = std::uint64_t;

namespace detail {
constexpr unsigned arrivals_at = 1, missing_at = 17;
constexpr std::uint64_t count_mask = 0xffff;
}  // namespace detail

inline void initialise(Barrier* barrier, unsigned arrivals) {
    emulation::require_aligned(barrier, sizeof(Barrier), "a barrier");
    *barrier = std::uint64_t{arrivals} << detail::arrivals_at | std::uint64_t{arrivals}
                                                                    << detail::missing_at;
}

inline void arrive(Barrier* barrier) {
    std::uint64_t const parity = *barrier & 1U;
    std::uint64_t const arrivals = *barrier >> detail::arrivals_at & detail::count_mask;
    std::uint64_t missing = *barrier >> detail::missing_at;
    if (missing == 0 || missing > arrivals) emulation::fail("arrives at what is no barrier");
    --missing;
    bool const complete = missing == 0;
    *barrier = (complete ? parity ^ 1U : parity) | arrivals << detail::arrivals_at |
               (complete ? arrivals : missing) << detail::missing_at;
}

inline void wait(Barrier* barrier, unsigned parity) {
    emulation::wait_until([=] { return (*barrier & 1U) != parity; }, "a barrier in shared memory");
}

inline void sync_named(int id, int threads) {
    emulation::named_barrier(id, static_cast<unsigned>(threads), "a numbered barrier");
}
inline void arrive_named(int id, int threads) {
    emulation::arrive_at_named_barrier(id, static_cast<unsigned>(threads));
}

}  // namespace tesserank::kernels::cuda
