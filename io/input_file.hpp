#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace tesserank::io {

/// What changes when a file is written again or replaced by another.
struct FileVersion {
    std::uint64_t device = 0, inode = 0;
    std::size_t bytes = 0;
    std::int64_t seconds = 0, nanoseconds = 0;  ///< of the last change of its content
    bool operator==(FileVersion const&) const = default;
};

/// A file that is read at any place, by any number of calls. Errors name the file.
class InputFile {
  public:
    /// Errors: InputError when it does not exist, is not a plain file or may not be read.
    explicit InputFile(std::string path);
    ~InputFile();
    InputFile(InputFile&& other) noexcept;
    InputFile& operator=(InputFile&&) = delete;

    std::string const& path() const { return path_; }
    /// When it was opened.
    std::size_t bytes() const { return version_.bytes; }
    FileVersion const& version() const { return version_; }

    /// Fills `destination` from the bytes at `offset`. Errors: InputError when the file ends
    /// before; SystemError with the system's text.
    void read(std::size_t offset, std::span<std::byte> destination) const;

  private:
    std::string path_;
    int descriptor_;
    FileVersion version_;
};

/// A whole file as text. Errors: InputError when it has more than `most_bytes`.
std::string read_text_file(std::string const& path, std::size_t most_bytes);

}  // namespace tesserank::io
