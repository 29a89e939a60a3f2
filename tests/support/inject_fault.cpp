/// Preloaded into ranks, makes calls of the system fail as disks, file systems and clocks do:
///
///     FAULT="RANK CALL PATH FROM HOW"
///
/// On that rank (-1: a process that is none), those calls that are about a file whose path contains
/// PATH, from number FROM (1, 2, ...) on. HOW is the number of the system's error, or
///
///     short     a read gives half of what was asked for
///     end       a read finds the end of the file
///     =OTHER    another file is opened
///     SECONDS   of clock_gettime (whose PATH is -; with gettimeofday): how far the date has
///     jumped,
///               back if negative
///
/// The first call that is struck leaves the empty file that FAULT_MARK names.

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <sstream>
#include <string>
#include <string_view>

namespace {

struct Fault {
    int rank = -1;
    std::string call, path;
    int from = 1;
    std::string how;

    int number() const { return std::atoi(how.c_str()); }
};

/// Of this process; empty where it has none.
Fault const& fault() {
    static Fault const read = [] {
        Fault wanted;
        auto const* const text = std::getenv("FAULT");
        auto const* const rank = std::getenv("OMPI_COMM_WORLD_RANK");
        if (text == nullptr) return wanted;
        std::istringstream(text) >> wanted.rank >> wanted.call >> wanted.path >> wanted.from >>
            wanted.how;
        return wanted.rank == (rank == nullptr ? -1 : std::atoi(rank)) ? wanted : Fault{};
    }();
    return read;
}

/// By a call that is not one of those below.
void leave_mark() {
    auto const* const mark = std::getenv("FAULT_MARK");
    int const file = mark == nullptr ? -1 : creat(mark, 0666);
    if (file >= 0) close(file);
}

bool strikes(std::string_view call, std::string_view path) {
    static std::atomic<int> calls{0};
    if (fault().call != call || path.find(fault().path) == std::string_view::npos) return false;
    int const number = ++calls;
    if (number == fault().from) leave_mark();
    return number >= fault().from;
}

bool strikes(std::string_view call, int descriptor) {
    if (fault().call != call) return false;
    std::array<char, 64> link{};
    std::array<char, 4096> path{};
    std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", descriptor);
    auto const length = readlink(link.data(), path.data(), path.size());
    return length > 0 && strikes(call, {path.data(), static_cast<std::size_t>(length)});
}

int failed() {
    errno = fault().number();
    return -1;
}

template <class Function>
Function* library_function(char const* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

int open_instead(char const* path, int flags, unsigned mode) {
    static auto* const call = library_function<int(char const*, int, ...)>("open");
    if (!strikes("open", path)) return call(path, flags, mode);
    return fault().how[0] == '=' ? call(fault().how.c_str() + 1, flags, mode) : failed();
}

ssize_t pread_instead(int descriptor, void* memory, size_t bytes, off_t offset) {
    static auto* const call = library_function<ssize_t(int, void*, size_t, off_t)>("pread");
    if (!strikes("pread", descriptor)) return call(descriptor, memory, bytes, offset);
    if (fault().how == "end") return 0;
    if (fault().how != "short") return failed();
    return call(descriptor, memory, bytes - bytes / 2, offset);
}

ssize_t pwrite_instead(int descriptor, void const* memory, size_t bytes, off_t offset) {
    static auto* const call = library_function<ssize_t(int, void const*, size_t, off_t)>("pwrite");
    return strikes("pwrite", descriptor) ? failed() : call(descriptor, memory, bytes, offset);
}

unsigned mode_of(int flags, va_list arguments) {
    return (flags & O_CREAT) != 0 ? va_arg(arguments, unsigned) : 0;
}

}  // namespace

extern "C" {

int open(char const* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    auto const mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_instead(path, flags, mode);
}

int open64(char const* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    auto const mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_instead(path, flags, mode);
}

ssize_t pread(int descriptor, void* memory, size_t bytes, off_t offset) {
    return pread_instead(descriptor, memory, bytes, offset);
}

ssize_t pread64(int descriptor, void* memory, size_t bytes, off64_t offset) {
    return pread_instead(descriptor, memory, bytes, offset);
}

ssize_t read(int descriptor, void* memory, size_t bytes) {
    static auto* const call = library_function<ssize_t(int, void*, size_t)>("read");
    if (!strikes("read", descriptor)) return call(descriptor, memory, bytes);
    return fault().how == "short" ? call(descriptor, memory, bytes - bytes / 2) : failed();
}

ssize_t write(int descriptor, void const* memory, size_t bytes) {
    static auto* const call = library_function<ssize_t(int, void const*, size_t)>("write");
    return strikes("write", descriptor) ? failed() : call(descriptor, memory, bytes);
}

ssize_t pwrite(int descriptor, void const* memory, size_t bytes, off_t offset) {
    return pwrite_instead(descriptor, memory, bytes, offset);
}

ssize_t pwrite64(int descriptor, void const* memory, size_t bytes, off64_t offset) {
    return pwrite_instead(descriptor, memory, bytes, offset);
}

int fsync(int descriptor) {
    static auto* const call = library_function<int(int)>("fsync");
    return strikes("fsync", descriptor) ? failed() : call(descriptor);
}

int fdatasync(int descriptor) {
    static auto* const call = library_function<int(int)>("fdatasync");
    return strikes("fdatasync", descriptor) ? failed() : call(descriptor);
}

int rename(char const* from, char const* to) {
    static auto* const call = library_function<int(char const*, char const*)>("rename");
    return strikes("rename", from) ? failed() : call(from, to);
}

int ftruncate(int descriptor, off_t bytes) {
    static auto* const call = library_function<int(int, off_t)>("ftruncate");
    return strikes("ftruncate", descriptor) ? failed() : call(descriptor, bytes);
}

int clock_gettime(clockid_t clock, timespec* time) {
    static auto* const call = library_function<int(clockid_t, timespec*)>("clock_gettime");
    int const result = call(clock, time);
    if (clock == CLOCK_REALTIME && strikes("clock_gettime", "-")) time->tv_sec += fault().number();
    return result;
}

int gettimeofday(timeval* time, void* zone) {
    static auto* const call = library_function<int(timeval*, void*)>("gettimeofday");
    int const result = call(time, zone);
    if (strikes("clock_gettime", "-")) time->tv_sec += fault().number();
    return result;
}

}  // extern "C"
