#include "io/file_error.hpp"

#include <cerrno>
#include <system_error>

namespace tesserank::io {
namespace {

/// What the user can do about it; empty where the path and the reason say all.
std::string_view what_to_do(int error) {
    switch (error) {
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
            return "Free some space, or write to another folder.";
        case EIO:
        case ESTALE:
            return "The disk or the file system has failed; see what the system's log says of it.";
        case EMFILE:
        case ENFILE:
            return "Allow more open files: ulimit -n.";
        case EACCES:
        case EPERM:
        case EROFS:
            return "Change the permissions, or choose another folder.";
        case EPIPE:
            return "Who read it has gone.";
        default:
            return "";
    }
}

}  // namespace

std::string file_error(std::string_view path, std::string_view what, int error) {
    auto text = std::string(path) + ": cannot be " + std::string(what) + ": " +
                std::generic_category().message(error);
    auto const advice = what_to_do(error);
    return advice.empty() ? text : text + ". " + std::string(advice);
}

}  // namespace tesserank::io
