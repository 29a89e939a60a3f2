#pragma once

#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

namespace tesserank::io {

/// The lines of a file of any size, one in memory at a time.
class LineReader {
  public:
    /// `path` "-" is standard input. A descriptor to stop by ends a wait for who writes into a pipe
    /// when it becomes readable; it is not read.  Errors: InputError if the file cannot be opened.
    LineReader(std::string const& path, std::size_t longest_line, int stop_descriptor = -1);

    /// Moves to the next line; false at the end.  Errors: SystemError if reading fails.
    bool next();
    /// next() was ended by the stop descriptor, before the input's end.
    bool is_stopped() const { return stopped_; }

    /// The current line without its end; valid until next(). Empty if it is too long.
    std::string_view text() const { return text_; }
    /// Nothing but blanks; a line that is too long is not.
    bool is_blank() const;
    bool too_long() const { return too_long_; }
    std::size_t line() const { return line_; }  ///< from 1

  private:
    bool fill();
    void wait_for_writer();
    [[noreturn]] void fail() const;
    void keep(std::string_view piece);

    struct Close {
        void operator()(std::FILE* file) const noexcept;
    };
    std::string path_;
    std::unique_ptr<std::FILE, Close> file_;
    bool is_file_;  ///< and not a pipe or terminal
    std::size_t longest_line_;
    int stop_descriptor_;
    std::string buffer_, text_;
    std::string_view rest_;  ///< of buffer_, not yet looked at
    std::size_t line_ = 0;
    bool too_long_ = false, stopped_ = false, at_end_ = false;
};

}  // namespace tesserank::io
