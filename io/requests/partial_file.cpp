#include "io/requests/partial_file.hpp"

#include "io/file_error.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

namespace tesserank::io {
namespace {

[[noreturn]] void fail(std::string const& path, char const* what) {
    throw kernels::SystemError(file_error(path, what, errno));
}

std::size_t bytes_of(int descriptor, std::string const& path) {
    struct stat status {};
    if (fstat(descriptor, &status) != 0) fail(path, "looked at");
    return static_cast<std::size_t>(status.st_size);
}

/// A file that another one has replaced. Closed last: until then no new file can get its inode.
struct Leftover {
    int descriptor;
    ~Leftover() { static_cast<void>(close(descriptor)); }
};

}  // namespace

bool is_named(int descriptor, std::string const& path) {
    struct stat opened {};
    struct stat named {};
    return fstat(descriptor, &opened) == 0 && stat(path.c_str(), &named) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

void sync_folder_of(std::string const& path) {
    auto const slash = path.find_last_of('/');
    auto const folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    auto const descriptor = open(folder.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return;
    static_cast<void>(fsync(descriptor));
    static_cast<void>(close(descriptor));
}

bool is_special_file(std::string const& path) {
    struct stat status {};
    return stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

std::string follow_links(std::string const& path) {
    constexpr int most_links = 40;  // as the kernel
    std::filesystem::path place(path);
    std::error_code error;
    for (int links = 0; links < most_links; ++links) {
        auto const target = std::filesystem::read_symlink(place, error);
        if (error) break;
        place = place.parent_path() / target;
    }
    return place.string();
}

PartialFile::PartialFile(std::string path)
    : path_(std::move(path)), target_(follow_links(path_)), partial_(target_ + ".partial") {}

PartialFile::PartialFile(PartialFile&& other) noexcept
    : path_(std::move(other.path_)),
      target_(std::move(other.target_)),
      partial_(std::move(other.partial_)),
      descriptor_{std::exchange(other.descriptor_, -1)},
      exists_(std::exchange(other.exists_, false)),
      removes_{other.removes_} {}

PartialFile::~PartialFile() {
    bool const removes = exists_ && removes_ && is_named(descriptor_, partial_);
    if (removes) static_cast<void>(std::remove(partial_.c_str()));
    if (descriptor_ >= 0) static_cast<void>(close(descriptor_));
}

void PartialFile::check_place() const {
    struct stat status {};
    if (stat(path_.c_str(), &status) != 0) {
        if (errno != ELOOP) return;
        throw kernels::InputError(file_error(path_, "written", errno));
    }
    if (S_ISREG(status.st_mode)) return;
    throw kernels::InputError(path_ + ": is a " +
                              (S_ISDIR(status.st_mode) ? "folder" : "device or pipe") +
                              ", expected the name of a file to write");
}

void PartialFile::create(std::size_t kept) {
    check_place();
    // Between opening and locking another writer may have given the file its real name: then the
    // file under the partial name is a new one.
    auto const lock_the_named = [this] {
        while (!open_and_lock()) static_cast<void>(close(std::exchange(descriptor_, -1)));
    };
    lock_the_named();
    if (kept == 0 && bytes_of(descriptor_, path_) > 0) {
        // Ranks of a killed job may live on for a while on other nodes, and write into what it has
        // left behind: let that be another file.
        if (unlink(partial_.c_str()) != 0) fail(path_, "written anew");
        Leftover const leftover{std::exchange(descriptor_, -1)};
        lock_the_named();
    }
    auto const bytes = bytes_of(descriptor_, path_);
    if (bytes < kept) {
        throw kernels::InputError(partial_ + ": has " + std::to_string(bytes) +
                                  " bytes, expected at least " + std::to_string(kept));
    }
    exists_ = true;
    removes_ = kept == 0;
    if (ftruncate(descriptor_, static_cast<off_t>(kept)) != 0) fail(path_, "cut off");
}

bool PartialFile::open_and_lock() {
    descriptor_ = open(partial_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) {
        throw kernels::InputError(file_error(path_, "written", errno) + " (" + partial_ + ")");
    }
    if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        throw FileInUse(path_ + ": another process is writing it (" + partial_ +
                        " is locked); wait for it, or choose another name");
    }
    return is_named(descriptor_, partial_);
}

void PartialFile::check_there() const {
    if (is_named(descriptor_, partial_)) return;
    throw kernels::SystemError(partial_ +
                               ": was removed or replaced while it was being written; start anew "
                               "and leave it until " +
                               path_ + " is there");
}

void PartialFile::make_durable() const {
    check_there();
    if (fsync(descriptor_) != 0) fail(path_, "made durable");
}

void PartialFile::commit(Existing existing) {
    make_durable();
    rename(existing);
    exists_ = false;
    // The new name survives a crash only once the folder is on the disk too. Not every file system
    // can do that; the data is safe either way.
    sync_folder_of(target_);
}

/// A rename that replaces nothing is not to be had on every file system: a second name for the file
/// is the next best, and where there are none the file that is to be kept was looked for before.
void PartialFile::rename(Existing existing) const {
    auto const* const from = partial_.c_str();
    auto const* const to = target_.c_str();
    if (existing == Existing::keep) {
        if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return;
        if (errno != EEXIST && link(from, to) == 0) {
            static_cast<void>(std::remove(from));
            return;
        }
        if (errno == EEXIST) {
            throw kernels::InputError(
                path_ +
                ": was made by another process meanwhile; choose another name or remove it");
        }
    }
    if (std::rename(from, to) != 0) fail(path_, "renamed from its partial file");
}

}  // namespace tesserank::io
