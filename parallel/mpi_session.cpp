#include "parallel/mpi_session.hpp"

#include "parallel/mpi_check.hpp"

#include <mpi.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <thread>

namespace tesserank::parallel {

namespace {

pthread_t communicating_thread;
std::atomic<bool> is_parked{false};
static_assert(std::atomic<bool>::is_always_lock_free);

/// For good: runs in the communicating thread, in the middle of whatever it did.
void park(int /*signal*/) {
    is_parked = true;
    while (true) pause();
}

/// Waits until the thread is parked, but not for long: it may be in the kernel for good.
void park_communicating_thread() {
    int const signal = SIGRTMAX;
    struct sigaction action {};
    action.sa_handler = park;
    sigfillset(&action.sa_mask);
    sigaction(signal, &action, nullptr);
    if (pthread_kill(communicating_thread, signal) != 0) return;
    constexpr std::chrono::milliseconds between_looks(1);
    for (int looks = 0; looks < 200 && !is_parked; ++looks) {
        std::this_thread::sleep_for(between_looks);
    }
}

}  // namespace

MpiSession::MpiSession(int& argc, char**& argv) : exceptions_{std::uncaught_exceptions()} {
    communicating_thread = pthread_self();
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

bool MpiSession::is_running() {
    int started = 0, ended = 0;
    MPI_Initialized(&started);
    MPI_Finalized(&ended);
    return started != 0 && ended == 0;
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

void MpiSession::exit_after(std::chrono::seconds time, int exit_status) {
    std::thread([time, exit_status] {
        std::this_thread::sleep_for(time);
        std::_Exit(exit_status);
    }).detach();
}

void MpiSession::abort_from_thread(int exit_status) {
    // The parked thread may hold a lock that the library wants.
    exit_after(std::chrono::seconds(2), exit_status);
    park_communicating_thread();
    MPI_Abort(MPI_COMM_WORLD, exit_status);
    std::_Exit(exit_status);
}

void MpiSession::abort(int exit_status) {
    // MPI_Abort may end the process without running atexit handlers.
    std::fflush(nullptr);
    MPI_Abort(MPI_COMM_WORLD, exit_status);
    std::_Exit(exit_status);
}

}  // namespace tesserank::parallel
