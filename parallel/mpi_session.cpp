#include "parallel/mpi_session.hpp"

#include "parallel/mpi_check.hpp"

#include <mpi.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

namespace tesserank::parallel {

MpiSession::MpiSession(int& argc, char**& argv) : exceptions_{std::uncaught_exceptions()} {
    int level = MPI_THREAD_SINGLE;
    check_mpi(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level), "MPI_Init_thread");
    if (level >= MPI_THREAD_FUNNELED) return;
    throw kernels::SystemError("this MPI library offers no MPI_THREAD_FUNNELED (it granted level " +
                               std::to_string(level) +
                               "), which tesserank needs because its kernels use threads. Use an "
                               "MPI that was built with thread support.");
}

MpiSession::~MpiSession() {
    if (std::uncaught_exceptions() == exceptions_) MPI_Finalize();
}

int MpiSession::rank() {
    int rank = 0;
    check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank");
    return rank;
}

int MpiSession::size() {
    int size = 1;
    check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size");
    return size;
}

void MpiSession::abort(int exit_status) {
    // MPI_Abort may end the process without running atexit handlers.
    std::fflush(nullptr);
    MPI_Abort(MPI_COMM_WORLD, exit_status);
    std::_Exit(exit_status);
}

}  // namespace tesserank::parallel
