#pragma once

#include <bitset>
#include <cstddef>
#include <istream>
#include <string>
#include <vector>

namespace tesserank::app {

std::size_t constexpr most_cores = 1024;
using CoreSet = std::bitset<most_cores>;

/// The first CPU that /proc/cpuinfo names, and those of its features that our kernels use.
struct Cpu {
    std::string model;
    std::vector<std::string> features;
};
Cpu read_cpu(std::istream& cpuinfo);

/// What one rank has of its machine; plain bytes, to be sent as they are.
struct RankPlace {
    char host[128] = {};
    CoreSet cores;                   ///< on which it may run
    std::size_t memory_bytes = 0;    ///< that it can still use
    char memory_limit[192] = {};     ///< what bounds that; see kernels::HostMemoryLeft
    std::size_t process_bytes = 0;   ///< that it holds itself: libraries, MPI
    std::size_t shm_bytes = 0;       ///< free in /dev/shm
    std::size_t threads_wanted = 0;  ///< OMP_NUM_THREADS; 0: not set
    bool is_root = false;            ///< without having told Open MPI so
};
RankPlace find_place();

/// The ranks of one host.
struct Host {
    std::string name;
    std::size_t ranks = 0;
    CoreSet cores;  ///< of all its ranks
    std::size_t memory_bytes = 0, shm_bytes = 0;
};
std::vector<Host> group_by_host(std::vector<RankPlace> const& places);

/// "0-3,8"
std::string list_cores(CoreSet const& cores);

/// What will make a run slow or fail, each with what to do about it.
std::vector<std::string> find_warnings(std::vector<RankPlace> const& places);

}  // namespace tesserank::app
