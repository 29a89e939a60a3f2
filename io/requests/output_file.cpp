#include "io/requests/output_file.hpp"

#include "kernels/error.hpp"

#include <cerrno>
#include <cstring>

namespace tesserank::io {

void OutputFile::Close::operator()(std::FILE* file) const noexcept {
    if (file != stdout) static_cast<void>(std::fclose(file));
}

OutputFile::OutputFile(std::string const& path) {
    if (path == "-") {
        file_.reset(stdout);
        return;
    }
    partial_.emplace(path).create();
    file_.reset(std::fopen(partial_->partial().c_str(), "wb"));
    if (file_ == nullptr) fail();
}

void OutputFile::write(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size()) fail();
}

void OutputFile::commit() {
    if (std::fflush(file_.get()) != 0) fail();
    if (!partial_) return;
    if (std::fclose(file_.release()) != 0) fail();
    partial_->commit();
}

void OutputFile::fail() const {
    auto const reason = std::string(std::strerror(errno));
    throw kernels::SystemError((partial_ ? partial_->path() : "standard output") +
                               ": cannot be written: " + reason);
}

}  // namespace tesserank::io
