#pragma once

#include "kernels/error.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace tesserank::io {

/// Whether a device, a pipe or a socket is there, which a rename would replace by a file.
bool is_special_file(std::string const& path);

/// Where a symbolic link leads, and a link that it leads to, whether or not a file is there; any
/// other path as it is.
std::string follow_links(std::string const& path);

/// Whether the open file is still the one that has the path: nobody has removed or replaced it.
bool is_named(int descriptor, std::string const& path);

/// Makes the names in the folder of `path` durable, as far as the file system can.
void sync_folder_of(std::string const& path);

/// Another process writes the same file: whatever else is wrong with it, that comes first.
class FileInUse : public kernels::InputError {
  public:
    using InputError::InputError;
};

/// What becomes of a file that has the path already.
enum class Existing : std::uint8_t { keep, replace };

/// A file that is being written: "<path>.partial" in the same folder, renamed to `path` when it is
/// complete, removed otherwise. A symbolic link stays one: the file that it leads to is written, in
/// that file's folder. A lock keeps two writers of one path apart, and what a killed
/// writer left behind is overwritten. On a file system without locks nothing keeps two writers
/// apart.
class PartialFile {
  public:
    explicit PartialFile(std::string path);
    /// Removes the partial file if it was made and commit() was not reached.
    ~PartialFile();
    PartialFile(PartialFile&& other) noexcept;
    PartialFile& operator=(PartialFile&&) = delete;

    /// Errors: InputError if something else than a file has the path, or links lead in a circle.
    void check_place() const;
    /// Makes the partial file and locks it: empty, or with the first `kept` bytes of the one that
    /// an earlier writer has left. Errors: InputError if none can be made there, or if there
    /// is less to keep; FileInUse.
    void create(std::size_t kept = 0);
    /// Errors: SystemError if somebody has removed or replaced the partial file.
    void check_there() const;
    /// From now on the partial file stays where commit() is not reached.
    void keep() { removes_ = false; }
    /// Waits until what was written, and is not buffered, is on the disk. Errors: SystemError.
    void make_durable() const;
    /// The same, and renames the file. Errors: SystemError; InputError if another file has the
    /// path, which is to be kept.
    void commit(Existing existing = Existing::replace);

    std::string const& path() const { return path_; }
    std::string const& partial() const { return partial_; }
    /// Open for writing; -1 before create().
    int descriptor() const { return descriptor_; }

  private:
    bool open_and_lock();
    void rename(Existing existing) const;

    std::string path_;              ///< for messages
    std::string target_, partial_;  ///< the same without links, and the name until it is complete
    int descriptor_ = -1;           ///< closed last: the lock ends when the partial name is gone
    bool exists_ = false, removes_ = true;
};

}  // namespace tesserank::io
