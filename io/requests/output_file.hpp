#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

namespace tesserank::io {

/// A text file that appears at its path only when it is complete: it grows as "<path>.partial" in
/// the same folder and is renamed by commit(). A process with a limit on file sizes must ignore
/// SIGXFSZ to get an error instead of a signal.
class OutputFile {
  public:
    /// `path` "-" is standard output.  Errors: InputError if no file can be made there.
    explicit OutputFile(std::string path);
    /// Removes the partial file if commit() was not reached.
    ~OutputFile();
    OutputFile(OutputFile&&) noexcept = default;
    OutputFile& operator=(OutputFile&&) = delete;

    /// Errors: SystemError naming the path, with the system's reason.
    void write(std::string_view text);
    /// Writes what is buffered, waits until it is on the disk, and renames.  Errors: SystemError.
    void commit();

    std::string const& path() const { return path_; }

  private:
    struct Close {
        void operator()(std::FILE* file) const noexcept;
    };
    [[noreturn]] void fail(char const* what) const;

    std::string path_, partial_;
    std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace tesserank::io
