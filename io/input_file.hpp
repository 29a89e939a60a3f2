#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace tesserank::io {

/// A file that is read at any place, by any number of calls. Errors name the file.
class InputFile {
  public:
    /// Errors: InputError when it does not exist, is not a plain file or may not be read.
    explicit InputFile(std::string path);
    ~InputFile();
    InputFile(InputFile&& other) noexcept;
    InputFile& operator=(InputFile&&) = delete;

    std::string const& path() const { return path_; }
    /// Size when it was opened.
    std::size_t bytes() const { return bytes_; }

    /// Fills `destination` from the bytes at `offset`. Errors: InputError when the file ends
    /// before; SystemError with the system's text.
    void read(std::size_t offset, std::span<std::byte> destination) const;

  private:
    std::string path_;
    int descriptor_;
    std::size_t bytes_ = 0;
};

/// A whole file as text. Errors: InputError when it has more than `most_bytes`.
std::string read_text_file(std::string const& path, std::size_t most_bytes);

}  // namespace tesserank::io
