#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace tesserank::emulation {

/// Where `bytes` bytes from `address` on lie; unregistered also when only a part of them lies in
/// memory that CUDA knows.
cudaMemoryType type_of(void const* address, std::size_t bytes);

/// Sets the fault when something was written before or behind an allocation; since the last check
/// the kernel ran, or the host when it is null.
void check_guards(void const* kernel);

}  // namespace tesserank::emulation
