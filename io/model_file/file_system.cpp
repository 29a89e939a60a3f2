#include "io/model_file/file_system.hpp"

#include "io/file_error.hpp"
#include "kernels/error.hpp"

#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace tesserank::io {
namespace {

/// From linux/magic.h, which does not have all of them.
constexpr std::array<std::uint64_t, 7> page_writers{
    0x6969,      // NFS
    0x517B,      // SMB
    0xFF534D42,  // CIFS
    0xFE534D42,  // SMB 2
    0x01021997,  // 9p
    0x5346414F,  // AFS
    0x6B414653,  // AFS of the kernel
};

}  // namespace

Writing writing_on(std::uint64_t magic) {
    // statfs() has 32 bits of it, with their sign on some machines.
    bool const pages = std::ranges::find(page_writers, magic & 0xFFFFFFFFU) != page_writers.end();
    return pages ? Writing::one_node : Writing::all_nodes;
}

std::uint64_t file_system_magic(int descriptor, char const* path) {
    struct statfs status {};
    if (fstatfs(descriptor, &status) == 0) return static_cast<std::uint64_t>(status.f_type);
    throw kernels::SystemError(file_error(path, "looked at", errno));
}

}  // namespace tesserank::io
