#pragma once

#include "kernels/buffer.hpp"

#include <cstddef>
#include <filesystem>
#include <string>

namespace tesserank::kernels {

/// Zero-filled host memory, aligned to 64 bytes at least. Large blocks ask for huge pages: weights
/// are read in one sweep for every token.
/// Errors: SystemError with the bytes wanted when there is no memory.
Buffer allocate_host(std::size_t bytes);

/// What this process can still use of memory.
struct HostMemoryLeft {
    std::size_t bytes = 0;
    /// What bounds that: "the machine", "control group /job/step (v2)", "SLURM_MEM_PER_NODE".
    std::string limit;
};

/// The least of the machine's MemAvailable, of what the memory limits of its control groups (v1 or
/// v2) and of those around them leave, and, within a step of a Slurm job, of what the job's memory
/// leaves: its limit on this node, less what the step's ranks hold here, each as much as this one.
/// Some clusters end a job beyond its memory without control groups (OverMemoryKill), others let it
/// be: see heed_slurm_memory(). `root` is where /proc and /sys are mounted.
HostMemoryLeft host_memory_left(std::filesystem::path const& root = "/");

/// Whether the memory of the Slurm job counts from now on in this process, as it does unless
/// somebody has said what may be taken: nobody here can tell whether it is enforced.
void heed_slurm_memory(bool heed) noexcept;

/// The bytes alone.
std::size_t host_memory_available(std::filesystem::path const& root = "/");

/// The most memory that this process has held: pages of its own, of its files and shared ones, as
/// the kernel counts them (VmHWM).
std::size_t process_memory_peak();

}  // namespace tesserank::kernels
