#include "io/requests/output_file.hpp"

#include "io/file_error.hpp"
#include "kernels/error.hpp"

#include <unistd.h>

#include <cerrno>

namespace tesserank::io {

void OutputFile::Close::operator()(std::FILE* file) const noexcept {
    if (file != stdout) static_cast<void>(std::fclose(file));
}

OutputFile::OutputFile(std::string const& path, std::size_t kept)
    : name_(path == "-" ? "standard output" : path) {
    if (path == "-") {
        file_.reset(stdout);
        return;
    }
    if (!is_special_file(path)) partial_.emplace(path).create(kept);
    if (kept > 0) hash_ = hash_of_file(partial_->partial(), bytes_ = kept);
    file_.reset(
        std::fopen((partial_ ? partial_->partial() : path).c_str(), kept > 0 ? "ab" : "wb"));
    if (file_ == nullptr) {
        throw kernels::InputError(file_error(name_, "written", errno));
    }
}

void OutputFile::write(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size()) fail();
    bytes_ += text.size();
    hash_.append(text);
}

void OutputFile::make_durable() {
    if (std::fflush(file_.get()) != 0) fail();
    if (!partial_) return;
    partial_->check_there();
    if (fdatasync(partial_->descriptor()) != 0) fail();
    partial_->keep();
}

void OutputFile::commit() {
    if (std::fflush(file_.get()) != 0) fail();
    if (!partial_) return;
    if (std::fclose(file_.release()) != 0) fail();
    partial_->commit();
}

void OutputFile::fail() const { throw kernels::SystemError(file_error(name_, "written", errno)); }

void write_text_file(std::string const& path, std::string_view text) {
    OutputFile file(path);
    file.write(text);
    file.commit();
}

}  // namespace tesserank::io
