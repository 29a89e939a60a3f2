#pragma once

#include "tests/emulation/executor.hpp"

#include <cuda_runtime.h>

#include <cstdint>

namespace tesserank::kernels::cuda {

/// From the lowest bit: arrivals of a phase [20 bits], those still missing [20], the phase.
using Barrier = std::uint64_t;

inline void initialise(Barrier* barrier, unsigned arrivals) {
    *barrier = Barrier{arrivals} | Barrier{arrivals} << 20;
}

inline void arrive(Barrier* barrier) {
    constexpr Barrier mask = (1U << 20) - 1, one = Barrier{1} << 20, phase = Barrier{1} << 40;
    Barrier const missing = *barrier >> 20 & mask;
    if (missing == 0 || missing > (*barrier & mask)) {
        emulation::fail("arrives at a barrier that nobody initialised");
    }
    *barrier -= one;
    if (missing == 1) *barrier = (*barrier | (*barrier & mask) << 20) ^ phase;
    // The others go on before this thread does: who forgot to wait for what it does next is caught.
    emulation::wait_until([looks = 0]() mutable { return looks++ > 0; }, "its turn");
}

inline void wait(Barrier* barrier, unsigned parity) {
    emulation::wait_until([=] { return (*barrier >> 40 & 1U) != (parity & 1U); },
                          "a barrier in shared memory");
}

inline void sync_named(int id, int threads) {
    emulation::named_barrier(id, static_cast<unsigned>(threads), "a named barrier");
}
inline void arrive_named(int id, int threads) {
    emulation::arrive_at_named_barrier(id, static_cast<unsigned>(threads));
}

}  // namespace tesserank::kernels::cuda
