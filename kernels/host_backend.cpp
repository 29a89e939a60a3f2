#include "kernels/host_backend.hpp"

#include "kernels/host_memory.hpp"

#include <algorithm>

namespace tesserank::kernels {

Buffer HostBackend::allocate(std::size_t bytes) { return allocate_host(bytes); }

std::size_t HostBackend::memory_available() const { return host_memory_available(); }

void HostBackend::copy_from_host(std::span<std::byte const> source, std::byte* destination) {
    std::copy(source.begin(), source.end(), destination);
}

void HostBackend::copy_to_host(std::byte const* source, std::span<std::byte> destination) {
    std::copy_n(source, destination.size(), destination.begin());
}

}  // namespace tesserank::kernels
