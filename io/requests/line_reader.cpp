#include "io/requests/line_reader.hpp"

#include "io/file_error.hpp"
#include "kernels/error.hpp"
#include "kernels/phase.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace tesserank::io {
namespace {

bool may_read(std::FILE* file) {
    int const flags = fcntl(fileno(file), F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != O_WRONLY;
}

std::FILE* open_to_read(std::string const& path) {
    if (path == "-") {
        if (may_read(stdin)) return stdin;
        throw kernels::InputError("standard input: is closed; give it a file or a pipe to read");
    }
    auto* const file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) throw kernels::InputError(file_error(path, "opened", errno));
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

LineReader::LineReader(std::string const& path, std::size_t longest_line, int stop_descriptor)
    : path_(path == "-" ? "standard input" : path),
      file_(open_to_read(path)),
      is_file_(is_regular(file_.get())),
      longest_line_(longest_line),
      stop_descriptor_(stop_descriptor),
      buffer_(std::size_t{1} << 16, '\0') {}

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
    return !stopped_;
}

bool LineReader::is_blank() const {
    return !too_long_ && text_.find_first_not_of(" \t\r") == std::string::npos;
}

bool LineReader::fill() {
    // Who writes into a pipe may take as long as they like.
    using kernels::Phase;
    Phase const phase("reading requests", is_file_ ? Phase::Pace::steady : Phase::Pace::open);
    wait_for_writer();
    if (stopped_ || at_end_) return false;
    ssize_t size = -1;
    do {
        size = read(fileno(file_.get()), buffer_.data(), buffer_.size());
    } while (size < 0 && errno == EINTR);
    if (size < 0) fail();
    at_end_ = size == 0;
    rest_ = std::string_view(buffer_).substr(0, static_cast<std::size_t>(size));
    return !at_end_;
}

void LineReader::wait_for_writer() {
    if (is_file_ || stop_descriptor_ < 0 || at_end_) return;
    std::array descriptors{pollfd{.fd = fileno(file_.get()), .events = POLLIN, .revents = 0},
                           pollfd{.fd = stop_descriptor_, .events = POLLIN, .revents = 0}};
    while (poll(descriptors.data(), descriptors.size(), -1) < 0) {
        if (errno != EINTR) fail();
    }
    stopped_ = descriptors.back().revents != 0;
}

void LineReader::fail() const {
    throw kernels::SystemError(
        file_error(path_, "read after line " + std::to_string(line_), errno));
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
