#include <cuda_runtime.h>
#include <mpi.h>

/// A GPU goes on while its host waits in MPI; the emulated one runs only when somebody waits for
/// it, and another rank may wait for what it has queued. Linked into a test, this finishes the
/// device's work before each call of MPI that can block.

namespace {

void let_device_run() { cudaDeviceSynchronize(); }

}  // namespace

// NOLINTBEGIN(readability-identifier-naming): names and parameters are MPI's.
extern "C" {

int MPI_Allreduce(void const* send, void* receive, int n, MPI_Datatype type, MPI_Op op,
                  MPI_Comm comm) {
    let_device_run();
    return PMPI_Allreduce(send, receive, n, type, op, comm);
}

int MPI_Bcast(void* data, int n, MPI_Datatype type, int root, MPI_Comm comm) {
    let_device_run();
    return PMPI_Bcast(data, n, type, root, comm);
}

int MPI_Barrier(MPI_Comm comm) {
    let_device_run();
    return PMPI_Barrier(comm);
}

int MPI_Gatherv(void const* send, int n, MPI_Datatype type, void* receive, int const counts[],
                int const places[], MPI_Datatype received, int root, MPI_Comm comm) {
    let_device_run();
    return PMPI_Gatherv(send, n, type, receive, counts, places, received, root, comm);
}

int MPI_Recv(void* data, int n, MPI_Datatype type, int from, int tag, MPI_Comm comm,
             MPI_Status* status) {
    let_device_run();
    return PMPI_Recv(data, n, type, from, tag, comm, status);
}

int MPI_Comm_dup(MPI_Comm comm, MPI_Comm* copy) {
    let_device_run();
    return PMPI_Comm_dup(comm, copy);
}

int MPI_Comm_free(MPI_Comm* comm) {
    let_device_run();
    return PMPI_Comm_free(comm);
}

}  // extern "C"
// NOLINTEND(readability-identifier-naming)
