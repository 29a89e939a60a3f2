// A slower network than there is: a library that stands between a program and MPI and makes each
// collective of MpiCommunicator last longer by a fixed time, on every rank that takes part.
//
//     mpirun -n 2 env LD_PRELOAD=libpmpi_delay.so TESSERANK_DELAY_MICROSECONDS=1000 tesserank ...
//
// Messages between two ranks count as one collective on each side: a send or receive, or those of
// an all-to-all together. The time is spent spinning, as MPI itself does while it waits.

#include <mpi.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace {

using Clock = std::chrono::steady_clock;

std::chrono::microseconds delay_wanted() {
    auto const* const text = std::getenv("TESSERANK_DELAY_MICROSECONDS");
    if (text == nullptr) return {};
    char* end = nullptr;
    long const delay = std::strtol(text, &end, 10);
    if (end == text || *end != '\0' || delay < 0) {
        std::fprintf(stderr, "TESSERANK_DELAY_MICROSECONDS is \"%s\", expected a whole number\n",
                     text);
        std::exit(1);
    }
    return std::chrono::microseconds(delay);
}

/// Hands on what MPI returned, later.
int delayed(int code) {
    static auto const delay = delay_wanted();
    auto const end = Clock::now() + delay;
    while (Clock::now() < end) {
    }
    return code;
}

/// Whether messages of an all-to-all are under way that have not been delayed.
bool& all_to_all_runs() {
    static bool runs = false;
    return runs;
}

}  // namespace

// NOLINTBEGIN(readability-identifier-naming): names and parameters are MPI's.
extern "C" {

int MPI_Allreduce(void const* send, void* receive, int n, MPI_Datatype type, MPI_Op op,
                  MPI_Comm comm) {
    return delayed(PMPI_Allreduce(send, receive, n, type, op, comm));
}

int MPI_Reduce_scatter(void const* send, void* receive, int const counts[], MPI_Datatype type,
                       MPI_Op op, MPI_Comm comm) {
    return delayed(PMPI_Reduce_scatter(send, receive, counts, type, op, comm));
}

int MPI_Reduce(void const* send, void* receive, int n, MPI_Datatype type, MPI_Op op, int root,
               MPI_Comm comm) {
    return delayed(PMPI_Reduce(send, receive, n, type, op, root, comm));
}

int MPI_Allgatherv(void const* send, int n, MPI_Datatype send_type, void* receive,
                   int const counts[], int const begins[], MPI_Datatype type, MPI_Comm comm) {
    return delayed(PMPI_Allgatherv(send, n, send_type, receive, counts, begins, type, comm));
}

int MPI_Gatherv(void const* send, int n, MPI_Datatype send_type, void* receive, int const counts[],
                int const begins[], MPI_Datatype type, int root, MPI_Comm comm) {
    return delayed(PMPI_Gatherv(send, n, send_type, receive, counts, begins, type, root, comm));
}

int MPI_Scatterv(void const* send, int const counts[], int const begins[], MPI_Datatype type,
                 void* receive, int n, MPI_Datatype receive_type, int root, MPI_Comm comm) {
    return delayed(PMPI_Scatterv(send, counts, begins, type, receive, n, receive_type, root, comm));
}

int MPI_Bcast(void* data, int n, MPI_Datatype type, int root, MPI_Comm comm) {
    return delayed(PMPI_Bcast(data, n, type, root, comm));
}

int MPI_Barrier(MPI_Comm comm) { return delayed(PMPI_Barrier(comm)); }

int MPI_Send(void const* data, int n, MPI_Datatype type, int to, int tag, MPI_Comm comm) {
    return delayed(PMPI_Send(data, n, type, to, tag, comm));
}

int MPI_Recv(void* data, int n, MPI_Datatype type, int from, int tag, MPI_Comm comm,
             MPI_Status* status) {
    return delayed(PMPI_Recv(data, n, type, from, tag, comm, status));
}

int MPI_Isend(void const* data, int n, MPI_Datatype type, int to, int tag, MPI_Comm comm,
              MPI_Request* request) {
    all_to_all_runs() = true;
    return PMPI_Isend(data, n, type, to, tag, comm, request);
}

int MPI_Irecv(void* data, int n, MPI_Datatype type, int from, int tag, MPI_Comm comm,
              MPI_Request* request) {
    all_to_all_runs() = true;
    return PMPI_Irecv(data, n, type, from, tag, comm, request);
}

int MPI_Wait(MPI_Request* request, MPI_Status* status) {
    int const code = PMPI_Wait(request, status);
    if (!all_to_all_runs()) return code;
    all_to_all_runs() = false;
    return delayed(code);
}

}  // extern "C"
// NOLINTEND(readability-identifier-naming)
