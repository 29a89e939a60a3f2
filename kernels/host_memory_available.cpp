#include "kernels/host_memory.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

namespace tesserank::kernels {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

std::atomic<bool> slurm_counts{true};

/// The file names of one version of control groups.
struct GroupFiles {
    char const* version;
    char const* limit;
    char const* usage;
    char const* inactive_cache;
    char const* active_cache;
};
constexpr GroupFiles version_1{"v1", "memory.limit_in_bytes", "memory.usage_in_bytes",
                               "total_inactive_file", "total_active_file"};
constexpr GroupFiles version_2{"v2", "memory.max", "memory.current", "inactive_file",
                               "active_file"};

/// The number after `key` in a file of "key number" lines; nullopt when there is none.
std::optional<std::size_t> read_field(fs::path const& file, std::string_view key) {
    std::ifstream in(file);
    std::string word;
    while (in >> word) {
        std::size_t value = 0;
        if (word == key && in >> value) return value;
        in.clear();
        in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    }
    return std::nullopt;
}

/// The number that a file holds; nullopt for "max" or a missing file.
std::optional<std::size_t> read_number(fs::path const& file) {
    std::ifstream in(file);
    std::size_t value = 0;
    if (in >> value) return value;
    return std::nullopt;
}

std::size_t left_in_group(fs::path const& group, GroupFiles const& files) {
    auto const limit = read_number(group / files.limit);
    auto const usage = read_number(group / files.usage);
    if (!limit || !usage) return unlimited;
    // Files that were read are charged to the group, but are dropped when memory is short.
    fs::path const statistics = group / "memory.stat";
    std::size_t const cache = read_field(statistics, files.inactive_cache).value_or(0) +
                              read_field(statistics, files.active_cache).value_or(0);
    std::size_t const used = *usage - std::min(*usage, cache);
    return *limit - std::min(*limit, used);
}

void tighten(HostMemoryLeft& left, std::size_t bytes, std::string const& limit) {
    if (bytes < left.bytes) left = {bytes, limit};
}

/// A group and all groups around it: the tightest one decides.
void tighten_by_groups(HostMemoryLeft& left, fs::path const& mount, std::string_view group,
                       GroupFiles const& files) {
    auto const look_at = [&](fs::path const& path, std::string const& name) {
        tighten(left, left_in_group(path, files),
                "control group " + name + " (" + files.version + ")");
    };
    look_at(mount, "/");
    fs::path path;
    for (auto const& part : fs::path(group).relative_path()) {
        path /= part;
        look_at(mount / path, "/" + path.string());
    }
}

void tighten_by_control_groups(HostMemoryLeft& left, fs::path const& root) {
    fs::path const mount = root / "sys/fs/cgroup";
    std::ifstream in(root / "proc/self/cgroup");
    // Lines are "id:controllers:path"; version 2 has id 0 and names no controller.
    for (std::string line; std::getline(in, line);) {
        auto const first = line.find(':');
        auto const second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        std::string controllers = line.substr(first, second - first + 1);
        controllers.front() = controllers.back() = ',';
        std::string_view const path = std::string_view(line).substr(second + 1);
        if (controllers == ",,") tighten_by_groups(left, mount, path, version_2);
        if (controllers.find(",memory,") != std::string::npos) {
            tighten_by_groups(left, mount / "memory", path, version_1);
        }
    }
}

/// 0 where the variable is missing, is no number or says that there is no limit.
std::size_t number_of(char const* variable) {
    auto const* const text = std::getenv(variable);
    return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

/// Of a list of nodes such as "2(x3),1", the number of the one with this index; 0: it has none.
std::size_t entry_of(std::string_view list, std::size_t index) {
    std::istringstream in{std::string(list)};
    for (std::size_t count = 0; in >> count; in.ignore(1, ',')) {
        std::size_t times = 1;
        if (in.peek() == '(') {
            in.ignore(2);  // "(x"
            in >> times;
            in.ignore(1);
        }
        if (index < times) return count;
        index -= times;
    }
    return 0;
}

/// Ranks of this process's step on this node.
std::size_t ranks_of_step() {
    if (auto const ranks = number_of("OMPI_COMM_WORLD_LOCAL_SIZE"); ranks > 0) return ranks;
    auto const* const list = std::getenv("SLURM_STEP_TASKS_PER_NODE");
    return list == nullptr ? 1
                           : std::max<std::size_t>(entry_of(list, number_of("SLURM_NODEID")), 1);
}

/// Pages of files are left out: they are dropped when memory is short.
std::size_t bytes_held(fs::path const& root) {
    auto const status = root / "proc/self/status";
    return 1024 * (read_field(status, "RssAnon:").value_or(0) +
                   read_field(status, "RssShmem:").value_or(0));
}

/// Only where Slurm has started this process: a shell of `salloc` has the limits in its
/// environment, too, and is not bound by them. They are in MiB.
void tighten_by_slurm(HostMemoryLeft& left, fs::path const& root) {
    if (!slurm_counts || std::getenv("SLURM_PROCID") == nullptr) return;
    std::size_t const used = ranks_of_step() * bytes_held(root);
    struct Limit {
        char const* variable;
        std::size_t times;
    };
    for (auto const& [variable, times] :
         {Limit{"SLURM_MEM_PER_NODE", 1},
          Limit{"SLURM_MEM_PER_CPU", number_of("SLURM_CPUS_ON_NODE")},
          Limit{"SLURM_MEM_PER_GPU", number_of("SLURM_GPUS_ON_NODE")}}) {
        std::size_t const limit = (number_of(variable) * times) << 20;
        if (limit > 0) tighten(left, limit - std::min(limit, used), variable);
    }
}

}  // namespace

HostMemoryLeft host_memory_left(fs::path const& root) {
    HostMemoryLeft left{unlimited, "nothing known"};
    auto const kibibytes = read_field(root / "proc/meminfo", "MemAvailable:");
    if (kibibytes) tighten(left, *kibibytes * 1024, "the machine");
    tighten_by_control_groups(left, root);
    tighten_by_slurm(left, root);
    return left;
}

void heed_slurm_memory(bool heed) noexcept { slurm_counts = heed; }

std::size_t host_memory_available(fs::path const& root) { return host_memory_left(root).bytes; }

std::size_t process_memory_peak() {
    return 1024 * read_field("/proc/self/status", "VmHWM:").value_or(0);
}

}  // namespace tesserank::kernels
