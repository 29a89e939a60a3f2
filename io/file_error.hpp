#pragma once

#include <string>
#include <string_view>

namespace tesserank::io {

/// "PATH: cannot be written: No space left on device. Free some space, or write to another folder."
/// `what` is what could not be done; the reason is the system's number in `error`.
std::string file_error(std::string_view path, std::string_view what, int error);

}  // namespace tesserank::io
