#pragma once

#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tesserank::kernels {

/// Something the user gave is wrong: a file, a line, an option. The message says what was found,
/// what was expected and what to do. Exit status 2.
class InputError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// The machine or a library failed: MPI, HDF5, a full disk. The message carries the library's own
/// text. Exit status 4.
class SystemError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// A mistake in tesserank itself. Exit status 4.
class LogicError : public std::logic_error {
  public:
    using std::logic_error::logic_error;
};

/// Throws LogicError with the caller's file and line unless `condition` holds.
inline void require(bool condition, std::string_view message,
                    std::source_location where = std::source_location::current()) {
    if (condition) return;
    throw LogicError(std::string(where.file_name()) + ":" + std::to_string(where.line()) + ": " +
                     std::string(message));
}

}  // namespace tesserank::kernels
