#include "parallel/mpi_library.hpp"

#include "parallel/mpi_check.hpp"

#include <mpi.h>
#if __has_include(<mpi-ext.h>)
#include <mpi-ext.h>
#endif

#include <array>

namespace tesserank::parallel {

std::string mpi_library_version() {
    std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
    int length = 0;
    check_mpi(MPI_Get_library_version(text.data(), &length), "MPI_Get_library_version");
    std::string const version(text.data(), static_cast<std::size_t>(length));
    // MPICH goes on for many lines; Open MPI ends with its own zero byte.
    return version.substr(0, version.find_first_of(std::string_view("\n\0", 2)));
}

std::string mpi_thread_level() {
    int level = 0;
    check_mpi(MPI_Query_thread(&level), "MPI_Query_thread");
    switch (level) {
        case MPI_THREAD_SINGLE:
            return "MPI_THREAD_SINGLE";
        case MPI_THREAD_FUNNELED:
            return "MPI_THREAD_FUNNELED";
        case MPI_THREAD_SERIALIZED:
            return "MPI_THREAD_SERIALIZED";
        case MPI_THREAD_MULTIPLE:
            return "MPI_THREAD_MULTIPLE";
        default:
            return "thread level " + std::to_string(level);
    }
}

bool mpi_reaches_cuda() {
#ifdef MPIX_CUDA_AWARE_SUPPORT  // Open MPI's
    return MPIX_Query_cuda_support() == 1;
#else
    return false;
#endif
}

}  // namespace tesserank::parallel
