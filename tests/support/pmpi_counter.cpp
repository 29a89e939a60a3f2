#include "tests/support/pmpi_counter.hpp"

#include <mpi.h>

#include <numeric>
#include <utility>

namespace tesserank::test {
namespace {

using parallel::Collective;

std::vector<CountedCall>& calls() {
    static std::vector<CountedCall> all;
    return all;
}

std::size_t bytes_of(long long count, MPI_Datatype type) {
    int size = 0;
    PMPI_Type_size(type, &size);
    return static_cast<std::size_t>(count) * static_cast<std::size_t>(size);
}

long long sum(int const counts[], MPI_Comm comm) {
    int ranks = 0;
    PMPI_Comm_size(comm, &ranks);
    return std::accumulate(counts, counts + ranks, 0LL);
}

bool is_root(int root, MPI_Comm comm) {
    int rank = 0;
    PMPI_Comm_rank(comm, &rank);
    return rank == root;
}

void count(Collective kind, std::size_t bytes, bool known = true) {
    calls().push_back({kind, bytes, known});
}

}  // namespace

std::vector<CountedCall> take_counted_calls() { return std::exchange(calls(), {}); }

}  // namespace tesserank::test

// NOLINTBEGIN(readability-identifier-naming): names and parameters are MPI's.
using tesserank::parallel::Collective;
using tesserank::test::bytes_of;
using tesserank::test::count;
using tesserank::test::is_root;
using tesserank::test::sum;

extern "C" {

int MPI_Allreduce(void const* send, void* receive, int n, MPI_Datatype type, MPI_Op op,
                  MPI_Comm comm) {
    if (type != MPI_LONG_LONG) count(Collective::all_reduce, bytes_of(n, type));
    return PMPI_Allreduce(send, receive, n, type, op, comm);
}

int MPI_Reduce_scatter(void const* send, void* receive, int const counts[], MPI_Datatype type,
                       MPI_Op op, MPI_Comm comm) {
    count(Collective::reduce_scatter, bytes_of(sum(counts, comm), type));
    return PMPI_Reduce_scatter(send, receive, counts, type, op, comm);
}

int MPI_Reduce(void const* send, void* receive, int n, MPI_Datatype type, MPI_Op op, int root,
               MPI_Comm comm) {
    count(Collective::reduce, bytes_of(n, type));
    return PMPI_Reduce(send, receive, n, type, op, root, comm);
}

int MPI_Allgatherv(void const* send, int n, MPI_Datatype send_type, void* receive,
                   int const counts[], int const begins[], MPI_Datatype type, MPI_Comm comm) {
    count(Collective::all_gather, bytes_of(sum(counts, comm), type));
    return PMPI_Allgatherv(send, n, send_type, receive, counts, begins, type, comm);
}

int MPI_Gatherv(void const* send, int n, MPI_Datatype send_type, void* receive, int const counts[],
                int const begins[], MPI_Datatype type, int root, MPI_Comm comm) {
    bool const here = is_root(root, comm);
    count(Collective::gather, here ? bytes_of(sum(counts, comm), type) : 0, here);
    return PMPI_Gatherv(send, n, send_type, receive, counts, begins, type, root, comm);
}

int MPI_Scatterv(void const* send, int const counts[], int const begins[], MPI_Datatype type,
                 void* receive, int n, MPI_Datatype receive_type, int root, MPI_Comm comm) {
    bool const here = is_root(root, comm);
    count(Collective::scatter, here ? bytes_of(sum(counts, comm), type) : 0, here);
    return PMPI_Scatterv(send, counts, begins, type, receive, n, receive_type, root, comm);
}

int MPI_Bcast(void* data, int n, MPI_Datatype type, int root, MPI_Comm comm) {
    count(Collective::broadcast, bytes_of(n, type));
    return PMPI_Bcast(data, n, type, root, comm);
}

int MPI_Send(void const* data, int n, MPI_Datatype type, int to, int tag, MPI_Comm comm) {
    count(Collective::transfer, bytes_of(n, type));
    return PMPI_Send(data, n, type, to, tag, comm);
}

int MPI_Recv(void* data, int n, MPI_Datatype type, int from, int tag, MPI_Comm comm,
             MPI_Status* status) {
    count(Collective::transfer, bytes_of(n, type));
    return PMPI_Recv(data, n, type, from, tag, comm, status);
}

}  // extern "C"
// NOLINTEND(readability-identifier-naming)
