#pragma once

#include "tests/fuzz/check.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <span>
#include <string>

namespace tesserank::fuzz {

/// A file that lies in memory and has a path, for what reads files alone.
class MemoryFile {
  public:
    MemoryFile() : descriptor_{memfd_create("fuzz", MFD_CLOEXEC)} { check(descriptor_ >= 0); }
    ~MemoryFile() { static_cast<void>(close(descriptor_)); }
    MemoryFile(MemoryFile const&) = delete;
    MemoryFile& operator=(MemoryFile const&) = delete;

    std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

    /// Replaces its content.
    void write(std::span<char const> content) const {
        check(ftruncate(descriptor_, 0) == 0);
        check(pwrite(descriptor_, content.data(), content.size(), 0) ==
              static_cast<ssize_t>(content.size()));
    }

  private:
    int descriptor_;
};

}  // namespace tesserank::fuzz
