#pragma once

#include "app/usage_error.hpp"
#include "kernels/error.hpp"

#include <exception>

/// What the program's exit status says; the numbers are part of the command line's interface.
namespace tesserank::app::exit_code {

inline constexpr int success = 0;
inline constexpr int usage = 1;
inline constexpr int bad_input = 2;             ///< a model or input file is wrong
inline constexpr int some_requests_failed = 3;  ///< the others were answered
inline constexpr int failure = 4;               ///< a rank, a library or the machine failed

inline constexpr int stopped = 5;  ///< by a signal or the end of its time; resumable

inline int of(std::exception const& error) {
    if (dynamic_cast<UsageError const*>(&error) != nullptr) return usage;
    if (dynamic_cast<kernels::InputError const*>(&error) != nullptr) return bad_input;
    return failure;
}

}  // namespace tesserank::app::exit_code
