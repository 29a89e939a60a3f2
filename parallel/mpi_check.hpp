#pragma once

#include "kernels/error.hpp"

#include <mpi.h>

#include <array>
#include <cstddef>
#include <string>

namespace tesserank::parallel {

/// Throws SystemError with MPI's own text unless `code` is MPI_SUCCESS. `call` is its name:
/// "MPI_Bcast". Private to this folder: no public header shows mpi.h.
inline void check_mpi(int code, char const* call) {
    if (code == MPI_SUCCESS) return;
    std::array<char, MPI_MAX_ERROR_STRING> text{};
    int length = 0;
    if (MPI_Error_string(code, text.data(), &length) != MPI_SUCCESS) length = 0;
    throw kernels::SystemError(std::string(call) + " failed with code " + std::to_string(code) +
                               ": " + std::string(text.data(), static_cast<std::size_t>(length)));
}

}  // namespace tesserank::parallel
