#include "io/model_file/locked_file.hpp"

#include "kernels/error.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace tesserank::io {
namespace {

using kernels::InputError;

std::string system_text() { return std::generic_category().message(errno); }

bool still_named(int descriptor, std::string const& path) {
    struct stat opened {};
    struct stat named {};
    return fstat(descriptor, &opened) == 0 && stat(path.c_str(), &named) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

}  // namespace

LockedFile::Descriptor::~Descriptor() {
    if (number >= 0) ::close(number);
}

LockedFile::LockedFile(std::string const& path) : name_(path) {
    name_.check_place();
    // Between opening and locking another writer may have given the file its real name: then the
    // file under the partial name is a new one.
    while (!open_and_lock()) {
        ::close(descriptor_.number);
        descriptor_.number = -1;
    }
    name_.create();
}

bool LockedFile::open_and_lock() {
    auto const& partial = name_.partial();
    descriptor_.number = ::open(partial.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_.number < 0) {
        throw InputError(name_.path() + ": cannot be written: " + system_text() + " (" + partial +
                         ")");
    }
    if (flock(descriptor_.number, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        throw InputError(name_.path() + ": another process is writing it (" + partial +
                         " is locked)");
    }
    return still_named(descriptor_.number, partial);
}

void LockedFile::write(std::size_t offset, std::span<std::byte const> bytes) const {
    while (!bytes.empty()) {
        auto const wrote =
            pwrite(descriptor_.number, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) {
            auto const full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
            throw kernels::SystemError(
                name_.path() + ": writing failed: " + system_text() +
                (full ? ". Free some space, or write to another folder." : ""));
        }
        offset += static_cast<std::size_t>(wrote);
        bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    }
}

}  // namespace tesserank::io
