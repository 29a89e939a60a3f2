#include "kernels/host_memory.hpp"

#include "kernels/error.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

namespace tesserank::kernels {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t huge_page = std::size_t{1} << 21;
// From here on a block is mapped by itself: the kernel hands its pages out zeroed when they are
// first touched, so that zeroing costs nothing, and can back it by huge pages.
constexpr std::size_t mapped_from = 2 * huge_page;

constexpr std::size_t round_up(std::size_t bytes, std::size_t multiple) {
    return (bytes + multiple - 1) / multiple * multiple;
}

[[noreturn]] void throw_no_memory(std::size_t bytes, std::string const& reason) {
    throw SystemError("cannot allocate " + std::to_string(bytes) + " bytes of host memory (" +
                      reason + "). Use more ranks or nodes, a smaller batch or a smaller --dtype");
}

void release_small(void* /*context*/, std::byte* memory, std::size_t /*bytes*/) noexcept {
    std::free(memory);
}

std::size_t whole_pages(std::size_t bytes) {
    return round_up(bytes, static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
}

void release_mapped(void* /*context*/, std::byte* memory, std::size_t bytes) noexcept {
    ::munmap(memory, whole_pages(bytes));
}

std::byte* map_memory(std::size_t bytes) {
    std::size_t const size = whole_pages(bytes);
    std::size_t const room = size + huge_page;  // of which the ends are given back
    void* const mapped =
        ::mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw_no_memory(bytes, std::strerror(errno));
    auto* const begin = static_cast<std::byte*>(mapped);
    std::size_t const before =
        (huge_page - reinterpret_cast<std::uintptr_t>(begin) % huge_page) % huge_page;
    if (before > 0) ::munmap(begin, before);
    if (before < huge_page) ::munmap(begin + before + size, huge_page - before);
    // Not the rest behind the last whole one: a huge page there would take up to 2 MiB more than a
    // plan says, of every tensor.
    ::madvise(begin + before, size / huge_page * huge_page, MADV_HUGEPAGE);
    return begin + before;
}

}  // namespace

Buffer allocate_host(std::size_t bytes) {
    if (bytes == 0) return Buffer{nullptr, BufferDeleter{release_small, nullptr, 0}};
    if (bytes < mapped_from) {
        void* const memory = std::aligned_alloc(alignment, round_up(bytes, alignment));
        if (memory == nullptr) throw_no_memory(bytes, "out of memory");
        std::memset(memory, 0, bytes);
        return Buffer{static_cast<std::byte*>(memory),
                      BufferDeleter{release_small, nullptr, bytes}};
    }
    // Linux promises more memory than there is and kills the process later; refuse before that.
    std::size_t const available = host_memory_available();
    if (bytes > available) throw_no_memory(bytes, std::to_string(available) + " are available");
    return Buffer{map_memory(bytes), BufferDeleter{release_mapped, nullptr, bytes}};
}

}  // namespace tesserank::kernels
