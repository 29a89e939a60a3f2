#include "io/model_file/locked_file.hpp"

#include "io/file_error.hpp"
#include "kernels/error.hpp"

#include <unistd.h>

#include <cerrno>

namespace tesserank::io {
void LockedFile::write(std::size_t offset, std::span<std::byte const> bytes) const {
    while (!bytes.empty()) {
        auto const wrote =
            pwrite(name_.descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) throw kernels::SystemError(file_error(name_.path(), "written", errno));
        offset += static_cast<std::size_t>(wrote);
        bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    }
}

}  // namespace tesserank::io
