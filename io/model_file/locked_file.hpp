#pragma once

#include "io/requests/partial_file.hpp"

#include <cstddef>
#include <span>
#include <string>

namespace tesserank::io {

/// A partial file with a lock on it, written at any place: two writers of one path are kept apart,
/// and what a killed writer left behind is overwritten. On a file system without locks nothing
/// keeps two writers apart.
class LockedFile {
  public:
    /// Errors: InputError when the folder is missing or may not be written, or another process
    /// writes the same file.
    explicit LockedFile(std::string const& path);

    PartialFile const& name() const { return name_; }

    /// Errors: SystemError with the system's text, e.g. that no space is left.
    void write(std::size_t offset, std::span<std::byte const> bytes) const;

    /// See PartialFile::commit.
    void commit() { name_.commit(); }

  private:
    /// Closes last: the lock ends when the partial name is gone.
    class Descriptor {
      public:
        Descriptor() = default;
        ~Descriptor();
        Descriptor(Descriptor const&) = delete;
        Descriptor& operator=(Descriptor const&) = delete;
        int number = -1;
    };
    bool open_and_lock();

    Descriptor descriptor_;
    PartialFile name_;
};

}  // namespace tesserank::io
