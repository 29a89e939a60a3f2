#pragma once

#include "io/requests/partial_file.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace tesserank::io {

/// By what two processes can tell whether they see the same file.
struct FileIdentity {
    std::uint64_t inode = 0;
    std::optional<std::uint64_t> device = {};  ///< none: of another node, which numbers them anew
};

/// A file that is open for writing; whoever gave it keeps it open.
struct WritableFile {
    std::string path;  ///< for messages
    int descriptor = -1;

    /// Errors: SystemError with the system's text, e.g. that no space is left.
    void write(std::size_t offset, std::span<std::byte const> bytes) const;
    /// Errors: SystemError.
    FileIdentity identity() const;
};

/// A partial file that is written at any place.
class LockedFile {
  public:
    /// Errors: see PartialFile::create.
    explicit LockedFile(std::string const& path) : name_(path) { name_.create(); }

    PartialFile const& name() const { return name_; }
    WritableFile file() const { return {name_.path(), name_.descriptor()}; }

    /// See PartialFile.
    void make_durable() const { name_.make_durable(); }
    void commit(Existing existing) { name_.commit(existing); }

  private:
    PartialFile name_;
};

/// The partial file that another rank of the job has made and locked, open for writing.
class JoinedFile {
  public:
    /// `path` is the final name. Errors: InputError when the partial file cannot be opened, or is
    /// another one: the ranks do not see the same file system.
    JoinedFile(std::string const& path, FileIdentity const& expected);
    ~JoinedFile();
    JoinedFile(JoinedFile&& other) noexcept;
    JoinedFile& operator=(JoinedFile&&) = delete;

    WritableFile const& file() const { return file_; }
    /// Waits until what was written is on the disk. Errors: SystemError.
    void sync() const;

  private:
    WritableFile file_;
};

}  // namespace tesserank::io
