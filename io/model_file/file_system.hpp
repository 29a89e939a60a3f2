#pragma once

#include <cstdint>

namespace tesserank::io {

/// Who may write into one file at the same time.
enum class Writing : std::uint8_t { all_nodes, one_node };

/// NFS, SMB, 9p and AFS send whole pages, and each node its own idea of one: where a page holds
/// tensors that two nodes have written, the last one puts zeros in place of the other's. Local file
/// systems, Lustre, GPFS, BeeGFS and the like write the bytes they are told to. `magic` is what
/// statfs(2) says of the file system.
Writing writing_on(std::uint64_t magic);

/// Of the file system of an open file. Errors: SystemError naming `path`.
std::uint64_t file_system_magic(int descriptor, char const* path);

}  // namespace tesserank::io
