#include "io/model_file/locked_file.hpp"

#include "kernels/error.hpp"

#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace tesserank::io {
namespace {

std::string system_text() { return std::generic_category().message(errno); }

}  // namespace

void LockedFile::write(std::size_t offset, std::span<std::byte const> bytes) const {
    while (!bytes.empty()) {
        auto const wrote =
            pwrite(name_.descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
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
