#include "tests/emulation/shared_pages.hpp"

#include "tests/emulation/device.hpp"
#include "tests/emulation/streams.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <system_error>

using namespace tesserank::emulation;
using Lock = std::lock_guard<std::recursive_mutex>;

namespace {

/// Behind the memory in its file: in how many processes it is open.
constexpr std::size_t count_bytes = 4096;
using Count = std::uint32_t;

Count* count_behind(void* first, std::size_t bytes) {
    return reinterpret_cast<Count*>(static_cast<std::byte*>(first) + bytes);
}

std::size_t& calls_until_failure() {
    static std::size_t calls = std::numeric_limits<std::size_t>::max();
    return calls;
}

/// What a handle holds: a file of the process that has the memory.
struct Place {
    pid_t process;
    int file;
    std::size_t bytes, offset;
};
static_assert(sizeof(Place) <= sizeof(cudaIpcMemHandle_t));

struct Mapping {
    void* first = nullptr;
    std::size_t bytes = 0;  ///< without the count behind them
};

/// Of other processes' memory, by the address that was given out.
std::map<void*, Mapping>& mappings() {
    static std::map<void*, Mapping> all;
    return all;
}

[[noreturn]] void throw_errno(char const* call) {
    throw std::system_error(errno, std::generic_category(), call);
}

}  // namespace

namespace tesserank::emulation {

SharedPages::SharedPages(std::byte* first, std::size_t bytes)
    : first_{first}, bytes_{bytes}, file_{memfd_create("emulated device memory", MFD_CLOEXEC)} {
    if (file_ < 0) throw_errno("memfd_create");
    if (pwrite(file_, first, bytes, 0) != static_cast<ssize_t>(bytes)) throw_errno("pwrite");
    if (ftruncate(file_, static_cast<off_t>(bytes + count_bytes)) != 0) throw_errno("ftruncate");
    if (mmap(first, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file_, 0) == MAP_FAILED)
        throw_errno("mmap");
}

SharedPages::~SharedPages() {
    mmap(first_, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    close(file_);
}

bool SharedPages::open_elsewhere() const {
    Count count = 0;
    auto const place = static_cast<off_t>(bytes_);
    return pread(file_, &count, sizeof count, place) == sizeof count && count > 0;
}

void SharedPages::describe(std::size_t offset, cudaIpcMemHandle_t& handle) const {
    Place const place{.process = getpid(), .file = file_, .bytes = bytes_, .offset = offset};
    std::memcpy(&handle, &place, sizeof(place));
}

bool ipc_fails() {
    if (calls_until_failure() == 0) return true;
    --calls_until_failure();
    return false;
}

bool of_another_process(void const* address) {
    auto const* const at = static_cast<std::byte const*>(address);
    return std::ranges::any_of(mappings(), [at](auto const& entry) {
        auto const* const first = static_cast<std::byte const*>(entry.second.first);
        return first <= at && at < first + entry.second.bytes;
    });
}

void fail_ipc_after(std::size_t calls) { calls_until_failure() = calls; }

}  // namespace tesserank::emulation

cudaError_t cudaIpcOpenMemHandle(void** memory, cudaIpcMemHandle_t handle, unsigned flags) {
    Lock const lock(runtime_mutex());
    if (ipc_fails()) return result(cudaErrorInvalidResourceHandle);
    Place place{};
    std::memcpy(&place, &handle, sizeof(place));
    if (flags != cudaIpcMemLazyEnablePeerAccess || place.process == getpid()) {
        return result(cudaErrorInvalidValue);
    }
    auto const path =
        "/proc/" + std::to_string(place.process) + "/fd/" + std::to_string(place.file);
    int const file = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (file < 0) return result(cudaErrorInvalidResourceHandle);
    void* const first =
        mmap(nullptr, place.bytes + count_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (first == MAP_FAILED) return result(cudaErrorMemoryAllocation);
    *memory = static_cast<std::byte*>(first) + place.offset;
    mappings()[*memory] = {first, place.bytes};
    ++std::atomic_ref(*count_behind(first, place.bytes));
    return result(device_state());
}

cudaError_t cudaIpcCloseMemHandle(void* memory) {
    Lock const lock(runtime_mutex());
    auto const found = mappings().find(memory);
    if (found == mappings().end()) return result(cudaErrorInvalidValue);
    run_all_streams();
    auto const [first, bytes] = found->second;
    --std::atomic_ref(*count_behind(first, bytes));
    munmap(first, bytes + count_bytes);
    mappings().erase(found);
    return result(device_state());
}
