#include "io/requests/output_file.hpp"

#include "kernels/error.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace tesserank::io {
namespace {

std::string name_partial(std::string const& path) {
    struct stat status {};
    if (path != "-" && stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
        throw kernels::InputError(path + ": is a folder, expected the name of a file to write");
    }
    return path == "-" ? "" : path + ".partial";
}

std::FILE* open_to_write(std::string const& path, std::string const& partial) {
    if (path == "-") return stdout;
    auto* const file = std::fopen(partial.c_str(), "wb");
    if (file == nullptr) {
        throw kernels::InputError(path + ": cannot be written: " + std::strerror(errno) + " (" +
                                  partial + ")");
    }
    return file;
}

/// A renamed file survives a crash only once its folder is on the disk too. File systems that
/// cannot do that for a folder say so; the data itself is safe by then.
void sync_folder(std::string const& path) {
    auto const slash = path.find_last_of('/');
    auto const folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    auto const descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    static_cast<void>(fsync(descriptor));
    static_cast<void>(close(descriptor));
}

}  // namespace

void OutputFile::Close::operator()(std::FILE* file) const noexcept {
    if (file != stdout) static_cast<void>(std::fclose(file));
}

OutputFile::OutputFile(std::string path)
    : path_(std::move(path)),
      partial_(name_partial(path_)),
      file_(open_to_write(path_, partial_)) {}

OutputFile::~OutputFile() {
    if (file_ == nullptr || partial_.empty()) return;
    file_.reset();
    static_cast<void>(std::remove(partial_.c_str()));
}

void OutputFile::write(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size()) fail("written");
}

void OutputFile::commit() {
    if (std::fflush(file_.get()) != 0) fail("written");
    if (partial_.empty()) return;
    if (fsync(fileno(file_.get())) != 0) fail("made durable");
    if (std::fclose(file_.release()) != 0) fail("closed");
    if (std::rename(partial_.c_str(), path_.c_str()) != 0) fail("renamed from its .partial file");
    sync_folder(path_);
}

void OutputFile::fail(char const* what) const {
    auto const reason = std::string(std::strerror(errno));
    throw kernels::SystemError((partial_.empty() ? "standard output" : path_) + ": cannot be " +
                               what + ": " + reason);
}

}  // namespace tesserank::io
