#include "app/machine.hpp"

#include "kernels/host_memory.hpp"

#include <sched.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <sstream>
#include <string_view>
#include <type_traits>

namespace tesserank::app {
namespace {

static_assert(std::is_trivially_copyable_v<RankPlace>, "sent as bytes");

auto constexpr useful_features = std::to_array<std::string_view>(
    {"avx2", "fma", "f16c", "avx512f", "avx512_bf16", "amx_bf16", "sve", "bf16"});

CoreSet allowed_cores() {
    CoreSet cores;
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0) return cores;
    for (std::size_t i = 0; i < std::min<std::size_t>(most_cores, CPU_SETSIZE); ++i) {
        if (CPU_ISSET(i, &set)) cores.set(i);
    }
    return cores;
}

std::size_t free_shared_memory() {
    struct statvfs status {};
    if (statvfs("/dev/shm", &status) != 0) return 0;
    return static_cast<std::size_t>(status.f_bavail) * status.f_frsize;
}

std::size_t wanted_threads() {
    auto const* text = std::getenv("OMP_NUM_THREADS");
    return text == nullptr ? 0 : std::strtoul(text, nullptr, 10);
}

}  // namespace

Cpu read_cpu(std::istream& cpuinfo) {
    Cpu cpu{.model = "unknown", .features = {}};
    for (std::string line; std::getline(cpuinfo, line) && !line.empty();) {
        auto const colon = line.find(": ");
        if (colon == std::string::npos) continue;
        auto const value = line.substr(colon + 2);
        if (line.starts_with("model name")) cpu.model = value;
        if (!line.starts_with("flags") && !line.starts_with("Features")) continue;
        std::istringstream words(value);
        for (std::string word; words >> word;) {
            if (std::ranges::find(useful_features, word) != useful_features.end()) {
                cpu.features.push_back(word);
            }
        }
    }
    return cpu;
}

RankPlace find_place() {
    RankPlace place;
    gethostname(place.host, sizeof(place.host) - 1);
    place.cores = allowed_cores();
    auto const left = kernels::host_memory_left();
    place.memory_bytes = left.bytes;
    left.limit.copy(place.memory_limit, sizeof(place.memory_limit) - 1);
    place.process_bytes = kernels::process_memory_peak();
    place.shm_bytes = free_shared_memory();
    place.threads_wanted = wanted_threads();
    place.is_root = geteuid() == 0 && std::getenv("OMPI_ALLOW_RUN_AS_ROOT") == nullptr;
    return place;
}

std::vector<Host> group_by_host(std::vector<RankPlace> const& places) {
    std::vector<Host> hosts;
    for (auto const& place : places) {
        std::string const name = place.host;
        auto found = std::ranges::find(hosts, name, &Host::name);
        if (found == hosts.end()) {
            hosts.push_back({.name = name,
                             .ranks = 0,
                             .cores = {},
                             .memory_bytes = place.memory_bytes,
                             .shm_bytes = place.shm_bytes});
            found = hosts.end() - 1;
        }
        ++found->ranks;
        found->cores |= place.cores;
        found->memory_bytes = std::min(found->memory_bytes, place.memory_bytes);
        found->shm_bytes = std::min(found->shm_bytes, place.shm_bytes);
    }
    return hosts;
}

std::string list_cores(CoreSet const& cores) {
    std::string text;
    for (std::size_t i = 0; i < most_cores; ++i) {
        if (!cores[i]) continue;
        auto last = i;
        while (last + 1 < most_cores && cores[last + 1]) ++last;
        text += (text.empty() ? "" : ",") + std::to_string(i);
        if (last > i) text += "-" + std::to_string(last);
        i = last;
    }
    return text;
}

}  // namespace tesserank::app
