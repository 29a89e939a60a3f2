#include "io/model_file/locked_file.hpp"

#include "io/file_error.hpp"
#include "kernels/error.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace tesserank::io {
namespace {

std::string system_text() { return std::generic_category().message(errno); }

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

std::uint64_t WritableFile::inode() const {
    struct stat status {};
    if (fstat(descriptor, &status) == 0) return status.st_ino;
    throw kernels::SystemError(path + ": cannot be looked at: " + system_text());
}

JoinedFile::JoinedFile(std::string const& path, std::uint64_t inode)
    : file_{path, open(PartialFile(path).partial().c_str(), O_WRONLY | O_CLOEXEC)} {
    if (file_.descriptor >= 0 && file_.inode() == inode) return;
    auto const why = file_.descriptor < 0 ? system_text() : "it is another file";
    if (file_.descriptor >= 0) close(file_.descriptor);
    throw kernels::InputError(path + ": cannot be written by every rank (" +
                              PartialFile(path).partial() + ", which rank 0 has made: " + why +
                              "). All ranks have to see the same folder under this name.");
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
