#pragma once

#include "tests/emulation/executor.hpp"

#include <cuda_runtime.h>

#include <cstddef>

namespace tesserank::kernels::cuda {

inline std::byte* dynamic_shared() { return emulation::dynamic_shared(); }
inline void wait_for_previous_grid() { emulation::wait_for_previous_grid(); }
inline void let_next_grid_start() {}

}  // namespace tesserank::kernels::cuda
