#pragma once

#include <string>

namespace tesserank::io {

/// Whether a device, a pipe or a socket is there, which a rename would replace by a file.
bool is_special_file(std::string const& path);

/// The name of a file that is being written: "<path>.partial" in the same folder, renamed to `path`
/// when it is complete, removed otherwise.
class PartialFile {
  public:
    explicit PartialFile(std::string path);
    /// Removes the partial file if it was made and commit() was not reached.
    ~PartialFile();
    PartialFile(PartialFile&& other) noexcept;
    PartialFile& operator=(PartialFile&&) = delete;

    /// Errors: InputError if something else than a file has the path.
    void check_place() const;
    /// Makes the partial file, empty.  Errors: InputError if none can be made there.
    void create();
    /// Waits until the file, which is closed, is on the disk, and renames it.  Errors: SystemError.
    void commit();

    std::string const& path() const { return path_; }
    std::string const& partial() const { return partial_; }

  private:
    std::string path_, partial_;
    bool exists_ = false;
};

}  // namespace tesserank::io
