#include "io/model_file/locked_file.hpp"

#include "io/file_error.hpp"
#include "kernels/error.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace tesserank::io {
namespace {

constexpr char const* same_folder = " All ranks have to see the same folder under this name.";

bool is_same(FileIdentity const& one, FileIdentity const& other) {
    bool const compares = one.device && other.device;
    return one.inode == other.inode && (!compares || one.device == other.device);
}

}  // namespace

void WritableFile::write(std::size_t offset, std::span<std::byte const> bytes) const {
    while (!bytes.empty()) {
        auto const wrote =
            pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) throw kernels::SystemError(file_error(path, "written", errno));
        offset += static_cast<std::size_t>(wrote);
        bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    }
}

FileIdentity WritableFile::identity() const {
    struct stat status {};
    if (fstat(descriptor, &status) == 0) return {status.st_ino, status.st_dev};
    throw kernels::SystemError(file_error(path, "looked at", errno));
}

JoinedFile::JoinedFile(std::string const& path, FileIdentity const& expected)
    : file_{path, open(PartialFile(path).partial().c_str(), O_WRONLY | O_CLOEXEC)} {
    int const error = errno;
    auto const what =
        "written by every rank (" + PartialFile(path).partial() + ", which rank 0 has made)";
    if (file_.descriptor < 0) {
        throw kernels::InputError(file_error(path, what, error) +
                                  (error == ENOENT ? std::string(".") + same_folder : ""));
    }
    if (is_same(file_.identity(), expected)) return;
    close(file_.descriptor);
    throw kernels::InputError(path + ": cannot be " + what + ": it is another file here." +
                              same_folder);
}

JoinedFile::~JoinedFile() {
    if (file_.descriptor >= 0) close(file_.descriptor);
}

JoinedFile::JoinedFile(JoinedFile&& other) noexcept
    : file_{std::move(other.file_.path), std::exchange(other.file_.descriptor, -1)} {}

void JoinedFile::sync() const {
    if (fsync(file_.descriptor) == 0) return;
    throw kernels::SystemError(file_error(file_.path, "made durable", errno));
}

}  // namespace tesserank::io
