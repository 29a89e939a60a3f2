#pragma once

#include "kernels/buffer.hpp"

#include <cstddef>
#include <filesystem>

namespace tesserank::kernels {

/// Zero-filled host memory, aligned to 64 bytes at least. Large blocks ask for huge pages: weights
/// are read in one sweep for every token.
/// Errors: SystemError with the bytes wanted when there is no memory.
Buffer allocate_host(std::size_t bytes);

/// Bytes that this process can still use: the smaller of the machine's MemAvailable and what the
/// memory limits of its control groups (v1 or v2) leave. `root` is where /proc and /sys are
/// mounted.
std::size_t host_memory_available(std::filesystem::path const& root = "/");

}  // namespace tesserank::kernels
