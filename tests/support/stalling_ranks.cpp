#include "kernels/error.hpp"
#include "kernels/phase.hpp"
#include "kernels/trace.hpp"
#include "parallel/agree.hpp"
#include "parallel/agreed.hpp"
#include "parallel/mpi_communicator.hpp"
#include "parallel/mpi_session.hpp"
#include "parallel/watchdog.hpp"
#include "parallel/whereabouts.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

/// Ranks that wait for each other in vain, or nearly: each case is something that one of them, or
/// all, do between two sums over all ranks.
///
///     mpirun -n 3 stalling_ranks CASE RANK LOG
namespace {

using namespace tesserank;
using namespace std::chrono_literals;
using kernels::Phase;

constexpr double timeout_seconds = 1.0;
constexpr auto several_timeouts = 3s;

void work_slowly() {
    Phase const phase("reading requests");
    auto const end = std::chrono::steady_clock::now() + several_timeouts;
    while (std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(50ms);
        kernels::note_progress();
    }
}

/// What the one rank does that is told to.
void misbehave(std::string_view what) {
    Phase const phase("decode");
    kernels::TraceRange const module("layers.3.mlp");
    if (what == "slow") work_slowly();
    if (what == "asks-somebody") {
        Phase const open("reading requests", Phase::Pace::open);
        std::this_thread::sleep_for(several_timeouts);
    }
    if (what == "hangs") {
        Phase const hanging("reading requests");
        std::this_thread::sleep_for(1h);
    }
    if (what.starts_with("stops")) std::raise(SIGSTOP);
    if (what == "dies") std::raise(SIGKILL);
    if (what == "throws") throw kernels::SystemError("this rank gives up");
    if (what == "runs-out-of-memory") throw std::bad_alloc();
}

void run(parallel::MpiCommunicator& world, std::string_view what, int rank) {
    std::vector<float> values(256, 1.0F);
    auto const data = std::as_writable_bytes(std::span(values));
    world.all_reduce(data, kernels::DType::f32);
    if (what == "differs") {
        // Both are to be told something, and nobody says it.
        Phase const phase("decode");
        kernels::TraceRange const module(world.rank() == rank ? "lm_head" : "layers.3.mlp");
        int const other = (rank + 1) % world.size();
        if (world.rank() == rank) world.transfer(data, other, rank);
        if (world.rank() == other) world.transfer(data, rank, other);
    } else if (world.rank() == rank) {
        misbehave(what);
    }
    if (what == "stops-before-notices") parallel::agree_early(world, [](auto const&) {});
    Phase const phase("prefill");
    kernels::TraceRange const module("layers.4.attention");
    world.all_reduce(data, kernels::DType::f32);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) return 1;
    parallel::MpiSession const session(argc, argv);
    int const rank = parallel::MpiSession::rank();
    try {
        auto world = parallel::MpiCommunicator::world();
        parallel::Watchdog const watchdog(
            world, {.seconds = timeout_seconds, .log_path = argv[3], .exit_status = 4});
        run(world, argv[1], std::atoi(argv[2]));
    } catch (std::exception const& error) {
        bool const everyones = dynamic_cast<parallel::Agreed const*>(&error) != nullptr;
        if (!everyones || rank == 0) {
            std::fprintf(stderr, "%s: %s\n", parallel::rank_and_place(rank).c_str(),
                         parallel::text_of(error).c_str());
        }
        if (everyones) return 4;
        parallel::MpiSession::abort(4);
    }
    return 0;
}
