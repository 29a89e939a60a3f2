#pragma once

#include "io/requests/partial_file.hpp"

#include <cstddef>
#include <span>
#include <string>

namespace tesserank::io {

/// A partial file that is written at any place.
class LockedFile {
  public:
    /// Errors: see PartialFile::create.
    explicit LockedFile(std::string const& path) : name_(path) { name_.create(); }

    PartialFile const& name() const { return name_; }

    /// Errors: SystemError with the system's text, e.g. that no space is left.
    void write(std::size_t offset, std::span<std::byte const> bytes) const;

    /// See PartialFile::commit.
    void commit(Existing existing) { name_.commit(existing); }

  private:
    PartialFile name_;
};

}  // namespace tesserank::io
