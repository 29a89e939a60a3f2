#include "io/input_file.hpp"

#include "io/file_error.hpp"
#include "kernels/error.hpp"
#include "kernels/phase.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace tesserank::io {
namespace {

using kernels::InputError;

}  // namespace

// Without blocking: a pipe that nobody writes to is refused like other special files, not waited
// for.
InputFile::InputFile(std::string path)
    : path_(std::move(path)),
      descriptor_{::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)} {
    if (descriptor_ < 0) throw InputError(file_error(path_, "opened", errno));
    struct stat status {};
    if (fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
        ::close(descriptor_);
        throw InputError(path_ + ": is not a plain file");
    }
    version_ = {.device = status.st_dev,
                .inode = status.st_ino,
                .bytes = static_cast<std::size_t>(status.st_size),
                .seconds = status.st_mtim.tv_sec,
                .nanoseconds = status.st_mtim.tv_nsec};
}

InputFile::~InputFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_{std::exchange(other.descriptor_, -1)},
      version_{other.version_} {}

void InputFile::read(std::size_t offset, std::span<std::byte> destination) const {
    while (!destination.empty()) {
        auto const got =
            pread(descriptor_, destination.data(), destination.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            throw kernels::SystemError(
                file_error(path_, "read at byte " + std::to_string(offset), errno));
        }
        if (got == 0) {
            throw InputError(path_ + ": ends at byte " + std::to_string(offset) + ", " +
                             std::to_string(destination.size()) +
                             " bytes before its data does: it is truncated");
        }
        kernels::note_progress();
        offset += static_cast<std::size_t>(got);
        destination = destination.subspan(static_cast<std::size_t>(got));
    }
}

std::string read_text_file(std::string const& path, std::size_t most_bytes) {
    InputFile const file(path);
    if (file.bytes() > most_bytes) {
        throw InputError(path + ": has " + std::to_string(file.bytes()) + " bytes, expected " +
                         std::to_string(most_bytes) + " at most");
    }
    std::string text(file.bytes(), '\0');
    file.read(0, std::as_writable_bytes(std::span(text)));
    return text;
}

}  // namespace tesserank::io
