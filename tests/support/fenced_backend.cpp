#include "tests/support/fenced_backend.hpp"

#include "kernels/error.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace tesserank::test {
namespace {

/// Opens the pages of some memory as long as it lives.
class Gate {
  public:
    Gate(std::byte const* memory, std::size_t bytes) {
        auto const page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        auto const into_page = reinterpret_cast<std::size_t>(memory) % page;
        first_ = const_cast<std::byte*>(memory) - into_page;
        bytes_ = into_page + bytes;
        kernels::require(mprotect(first_, bytes_, PROT_READ | PROT_WRITE) == 0, "mprotect");
    }
    ~Gate() { mprotect(first_, bytes_, PROT_NONE); }
    Gate(Gate const&) = delete;
    Gate& operator=(Gate const&) = delete;

  private:
    std::byte* first_;
    std::size_t bytes_;
};

void unmap(void* /*context*/, std::byte* memory, std::size_t bytes) noexcept {
    munmap(memory, bytes);
}

std::size_t extent(kernels::ConstTensorView const& x) {
    return ((x.rows - 1) * x.stride + x.cols) * size_of(x.dtype);
}

}  // namespace

kernels::Buffer FencedBackend::allocate(std::size_t bytes) {
    if (bytes == 0) return {};
    void* const memory = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    kernels::require(memory != MAP_FAILED, "mmap");
    return {static_cast<std::byte*>(memory), {unmap, nullptr, bytes}};
}

void FencedBackend::copy_from_host(std::span<std::byte const> source, std::byte* destination) {
    if (source.empty()) return;
    Gate const open(destination, source.size());
    std::ranges::copy(source, destination);
}

void FencedBackend::copy_to_host(std::byte const* source, std::span<std::byte> destination) {
    if (destination.empty()) return;
    Gate const open(source, destination.size());
    std::copy_n(source, destination.size(), destination.begin());
}

void FencedBackend::copy(kernels::ConstTensorView source, kernels::TensorView destination) {
    std::size_t const width = source.cols * size_of(source.dtype);
    if (source.rows == 0 || width == 0) return;
    // Both may lie in the same page, which only one gate at a time may open.
    std::vector<std::byte> all(extent(source));
    copy_to_host(source.data, all);
    Gate const open(destination.data, extent(destination));
    for (std::size_t t = 0; t < source.rows; ++t) {
        std::copy_n(all.data() + t * source.stride * size_of(source.dtype), width,
                    destination.data + t * destination.stride * size_of(destination.dtype));
    }
}

}  // namespace tesserank::test
