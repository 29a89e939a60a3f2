#include "app/machine.hpp"

#include <algorithm>

namespace tesserank::app {
namespace {

std::size_t constexpr mebibyte = std::size_t{1} << 20;
/// A model of a few hundred million parameters, with its cache.
std::size_t constexpr little_memory = 1024 * mebibyte;
/// What Open MPI's segments and a window of ours take for one rank.
std::size_t constexpr little_shm_per_rank = 16 * mebibyte;

std::string mebibytes(std::size_t bytes) { return std::to_string(bytes / mebibyte) + " MiB"; }

void warn_of_cores(Host const& host, std::size_t threads, std::vector<std::string>& warnings) {
    auto const cores = host.cores.count();
    if (cores == 0) return;
    if (host.ranks > cores) {
        warnings.push_back(host.name + ": " + std::to_string(host.ranks) + " ranks share " +
                           std::to_string(cores) +
                           " core(s), so every collective waits for the scheduler: start at most " +
                           "one rank per core, with --bind-to none where ranks were bound to one");
        return;
    }
    auto const fit = std::to_string(cores / host.ranks);
    if (threads == 0 && host.ranks > 1) {
        warnings.push_back(host.name + ": OMP_NUM_THREADS is not set, so each of " +
                           std::to_string(host.ranks) +
                           " ranks may start a thread on every core it sees: set "
                           "OMP_NUM_THREADS=" +
                           fit);
    }
    if (threads * host.ranks > cores) {
        warnings.push_back(host.name + ": OMP_NUM_THREADS=" + std::to_string(threads) + " x " +
                           std::to_string(host.ranks) + " rank(s) exceeds " +
                           std::to_string(cores) + " core(s): set OMP_NUM_THREADS=" + fit);
    }
}

void warn_of_memory(Host const& host, std::vector<std::string>& warnings) {
    if (auto const share = host.memory_bytes / host.ranks; share < little_memory) {
        warnings.push_back(host.name + ": " + mebibytes(share) +
                           " of memory for each rank: raise the job's or container's memory limit, "
                           "or start fewer ranks here");
    }
    if (host.ranks > 1 && host.shm_bytes / host.ranks < little_shm_per_rank) {
        warnings.push_back(host.name + ": " + mebibytes(host.shm_bytes) +
                           " free in /dev/shm, through which ranks of a host talk: enlarge it "
                           "(containers: --shm-size=1g)");
    }
}

}  // namespace

std::vector<std::string> find_warnings(std::vector<RankPlace> const& places) {
    std::vector<std::string> warnings;
    std::size_t threads = 0;
    for (auto const& place : places) threads = std::max(threads, place.threads_wanted);
    for (auto const& host : group_by_host(places)) {
        warn_of_cores(host, threads, warnings);
        warn_of_memory(host, warnings);
    }
    if (std::ranges::any_of(places, &RankPlace::is_root)) {
        warnings.emplace_back(
            "running as root, which Open MPI's mpirun refuses: use another user, or set "
            "OMPI_ALLOW_RUN_AS_ROOT=1 and OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1");
    }
    return warnings;
}

}  // namespace tesserank::app
