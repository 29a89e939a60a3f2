#include "io/requests/line_reader.hpp"

#include "kernels/error.hpp"
#include "kernels/phase.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace tesserank::io {
namespace {

std::FILE* open_to_read(std::string const& path) {
    if (path == "-") return stdin;
    auto* const file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) {
        throw kernels::InputError(path + ": cannot be opened: " + std::strerror(errno));
    }
    struct stat status {};
    if (fstat(fileno(file), &status) == 0 && S_ISDIR(status.st_mode)) {
        static_cast<void>(std::fclose(file));
        throw kernels::InputError(path + ": is a folder, expected a file of JSON lines");
    }
    return file;
}

bool is_regular(std::FILE* file) {
    struct stat status {};
    return fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode);
}

}  // namespace

void LineReader::Close::operator()(std::FILE* file) const noexcept {
    if (file != stdin) static_cast<void>(std::fclose(file));
}

LineReader::LineReader(std::string const& path, std::size_t longest_line)
    : path_(path == "-" ? "standard input" : path),
      file_(open_to_read(path)),
      is_file_(is_regular(file_.get())),
      longest_line_(longest_line),
      buffer_(std::size_t{1} << 18, '\0') {}

bool LineReader::next() {
    text_.clear();
    too_long_ = false;
    if (rest_.empty() && !fill()) return false;
    ++line_;
    kernels::note_progress();
    do {
        auto const end = rest_.find('\n');
        keep(rest_.substr(0, end));
        if (end != std::string_view::npos) {
            rest_.remove_prefix(end + 1);
            return true;
        }
        rest_ = {};
    } while (fill());
    return true;
}

bool LineReader::is_blank() const {
    return !too_long_ && text_.find_first_not_of(" \t\r") == std::string::npos;
}

bool LineReader::fill() {
    // Who writes into a pipe may take as long as they like.
    using kernels::Phase;
    Phase const phase("reading requests", is_file_ ? Phase::Pace::steady : Phase::Pace::open);
    auto const size = std::fread(buffer_.data(), 1, buffer_.size(), file_.get());
    if (size == 0 && std::ferror(file_.get()) != 0) {
        throw kernels::SystemError(path_ + ": cannot be read after line " + std::to_string(line_) +
                                   ": " + std::strerror(errno));
    }
    rest_ = std::string_view(buffer_).substr(0, size);
    return size > 0;
}

void LineReader::keep(std::string_view piece) {
    too_long_ = too_long_ || text_.size() + piece.size() > longest_line_;
    if (too_long_) {
        text_.clear();
    } else {
        text_ += piece;
    }
}

}  // namespace tesserank::io
