#pragma once

#include "io/journal/running_hash.hpp"
#include "io/requests/partial_file.hpp"

#include <cstddef>
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
    /// `path` "-" is standard output. With `kept` it goes on behind so many bytes that a killed
    /// process has left in the partial file.  Errors: InputError if no file can be made there, or
    /// less is there to be kept.
    explicit OutputFile(std::string const& path, std::size_t kept = 0);

    /// What is at its path is a device or a pipe: nothing of it can be kept.
    bool is_stream() const { return !partial_; }
    /// What was written so far, kept bytes included.
    std::size_t bytes() const { return bytes_; }
    std::string hash() const { return hash_.digest(); }

    /// Errors: SystemError naming the path, with the system's reason.
    void write(std::string_view text);
    /// Writes what is buffered, waits until it is on the disk, and keeps it under the partial name
    /// from now on.  Errors: SystemError, also if somebody has removed the partial file.
    void make_durable();
    /// Writes what is buffered, waits until it is on the disk, and renames; without it nothing is
    /// left, or what was made durable.  Errors: SystemError.
    void commit();

  private:
    struct Close {
        void operator()(std::FILE* file) const noexcept;
    };
    [[noreturn]] void fail() const;

    std::string name_;                    ///< for messages
    std::optional<PartialFile> partial_;  ///< for a file only
    std::unique_ptr<std::FILE, Close> file_;
    std::size_t bytes_ = 0;
    RunningHash hash_;
};

/// A text as a whole file. Errors as those of OutputFile.
void write_text_file(std::string const& path, std::string_view text);

}  // namespace tesserank::io
