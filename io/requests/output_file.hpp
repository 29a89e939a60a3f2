#pragma once

#include "io/requests/partial_file.hpp"

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tesserank::io {

/// A text file that appears at its path only when it is complete; a device or pipe is written as it
/// is. A process with a limit on file sizes must ignore SIGXFSZ to get an error instead of a
/// signal.
class OutputFile {
  public:
    /// `path` "-" is standard output.  Errors: InputError if no file can be made there.
    explicit OutputFile(std::string const& path);

    /// Errors: SystemError naming the path, with the system's reason.
    void write(std::string_view text);
    /// Writes what is buffered, waits until it is on the disk, and renames; without it nothing is
    /// left.  Errors: SystemError.
    void commit();

  private:
    struct Close {
        void operator()(std::FILE* file) const noexcept;
    };
    [[noreturn]] void fail() const;

    std::string name_;                    ///< for messages
    std::optional<PartialFile> partial_;  ///< for a file only
    std::unique_ptr<std::FILE, Close> file_;
};

/// A text as a whole file. Errors as those of OutputFile.
void write_text_file(std::string const& path, std::string_view text);

}  // namespace tesserank::io
