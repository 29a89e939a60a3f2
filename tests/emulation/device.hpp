#pragma once

#include <cstddef>
#include <string_view>

/// The emulated device is told by the environment what it is:
/// TESSERANK_EMULATED_CAPABILITY (90), TESSERANK_EMULATED_DEVICES (1),
/// TESSERANK_EMULATED_MEMORY_MIB (4096), TESSERANK_EMULATED_MULTIPROCESSORS (6).
namespace tesserank::emulation {

int capability();  ///< 80 for 8.0
std::size_t device_memory();
int current_device();
std::size_t captures_begun();  ///< by this process
/// How many grids have run of kernels whose names contain this.
std::size_t grids_run(std::string_view name);
/// So many more calls of cudaIpcGetMemHandle and cudaIpcOpenMemHandle succeed.
void fail_ipc_after(std::size_t calls);
/// Dynamic shared memory that a block may have.
std::size_t largest_shared_memory();

}  // namespace tesserank::emulation
