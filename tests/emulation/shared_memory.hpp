#pragma once

#include <cstddef>

namespace tesserank::emulation {

/// Fills the dynamic shared memory with garbage for a new block.
void prepare_shared_memory(std::size_t bytes);
/// Whether nothing was written behind it.
bool shared_memory_intact();

}  // namespace tesserank::emulation
