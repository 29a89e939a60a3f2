/// Preloaded into a rank, counts the bytes that it reads from files below $COUNT_READS_BELOW and
/// leaves the sum in $COUNT_READS_IN/bytes.RANK when the process ends: the system's view, not the
/// program's.

#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

namespace {

std::atomic<std::size_t> bytes_read{0};

void count(int descriptor, ssize_t got) {
    static char const* const folder = std::getenv("COUNT_READS_BELOW");
    if (got <= 0 || folder == nullptr) return;
    std::array<char, 64> link{};
    std::array<char, 4096> path{};
    std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", descriptor);
    auto const length = readlink(link.data(), path.data(), path.size());
    if (length <= 0) return;
    std::string_view const name(path.data(), static_cast<std::size_t>(length));
    if (name.starts_with(folder)) bytes_read += static_cast<std::size_t>(got);
}

template <class Function>
Function* library_function(char const* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

struct Teller {
    ~Teller() {
        char const* const rank = std::getenv("OMPI_COMM_WORLD_RANK");
        char const* const folder = std::getenv("COUNT_READS_IN");
        if (rank == nullptr || folder == nullptr) return;
        std::ofstream(std::string(folder) + "/bytes." + rank) << bytes_read;
    }
} const teller;

}  // namespace

extern "C" {

ssize_t pread(int descriptor, void* memory, size_t bytes, off_t offset) {
    static auto* const call = library_function<ssize_t(int, void*, size_t, off_t)>("pread");
    auto const got = call(descriptor, memory, bytes, offset);
    count(descriptor, got);
    return got;
}

ssize_t pread64(int descriptor, void* memory, size_t bytes, off64_t offset) {
    return pread(descriptor, memory, bytes, offset);
}

ssize_t read(int descriptor, void* memory, size_t bytes) {
    static auto* const call = library_function<ssize_t(int, void*, size_t)>("read");
    auto const got = call(descriptor, memory, bytes);
    count(descriptor, got);
    return got;
}

}  // extern "C"
