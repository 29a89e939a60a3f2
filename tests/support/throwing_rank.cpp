#include "kernels/error.hpp"
#include "parallel/mpi_communicator.hpp"
#include "parallel/mpi_session.hpp"

#include <cstdio>
#include <exception>

/// What the application's main does about an error that only one rank has: the others wait in a
/// collective, so this rank tells and ends the job.
int main(int argc, char** argv) {
    using namespace tesserank;
    parallel::MpiSession session(argc, argv);
    int rank = -1;
    try {
        auto world = parallel::MpiCommunicator::world();
        rank = world.rank();
        world.barrier();
        if (rank == world.size() - 1) throw kernels::SystemError("this rank gives up");
        world.barrier();
    } catch (std::exception const& error) {
        std::fprintf(stderr, "rank %d: %s\n", rank, error.what());
        parallel::MpiSession::abort(4);
    }
    return 0;
}
