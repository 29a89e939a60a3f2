#include "io/requests/partial_file.hpp"

#include "kernels/error.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace tesserank::io {
namespace {

[[noreturn]] void fail(std::string const& path, char const* what) {
    throw kernels::SystemError(path + ": cannot be " + what + ": " + std::strerror(errno));
}

/// -1, with errno, if it failed.
int sync(std::string const& path, int flags) {
    auto const descriptor = open(path.c_str(), flags | O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    auto const result = fsync(descriptor);
    auto const reason = errno;
    static_cast<void>(close(descriptor));
    errno = reason;
    return result;
}

}  // namespace

bool is_special_file(std::string const& path) {
    struct stat status {};
    return stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

PartialFile::PartialFile(std::string path) : path_(std::move(path)), partial_(path_ + ".partial") {}

PartialFile::PartialFile(PartialFile&& other) noexcept
    : path_(std::move(other.path_)),
      partial_(std::move(other.partial_)),
      exists_(std::exchange(other.exists_, false)) {}

PartialFile::~PartialFile() {
    if (exists_) static_cast<void>(std::remove(partial_.c_str()));
}

void PartialFile::check_place() const {
    struct stat status {};
    if (stat(path_.c_str(), &status) != 0 || S_ISREG(status.st_mode)) return;
    throw kernels::InputError(path_ + ": is a " +
                              (S_ISDIR(status.st_mode) ? "folder" : "device or pipe") +
                              ", expected the name of a file to write");
}

void PartialFile::create() {
    check_place();
    int constexpr flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode = 0666;
    auto const descriptor = open(partial_.c_str(), flags, mode);
    if (descriptor < 0) {
        throw kernels::InputError(path_ + ": cannot be written: " + std::strerror(errno) + " (" +
                                  partial_ + ")");
    }
    exists_ = true;
    static_cast<void>(close(descriptor));
}

void PartialFile::commit() {
    if (sync(partial_, 0) != 0) fail(path_, "made durable");
    if (std::rename(partial_.c_str(), path_.c_str()) != 0)
        fail(path_, "renamed from its partial file");
    exists_ = false;
    // The new name survives a crash only once the folder is on the disk too. Not every file system
    // can do that; the data is safe either way.
    auto const slash = path_.find_last_of('/');
    static_cast<void>(
        sync(slash == std::string::npos ? "." : path_.substr(0, slash + 1), O_DIRECTORY));
}

}  // namespace tesserank::io
