#include "kernels/host_memory.hpp"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace tesserank::kernels {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

/// The file names of one version of control groups.
struct GroupFiles {
    char const* limit;
    char const* usage;
    char const* inactive_cache;
    char const* active_cache;
};
constexpr GroupFiles version_1{"memory.limit_in_bytes", "memory.usage_in_bytes",
                               "total_inactive_file", "total_active_file"};
constexpr GroupFiles version_2{"memory.max", "memory.current", "inactive_file", "active_file"};

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

/// What a group and all groups around it leave: the tightest one decides.
std::size_t left_in_hierarchy(fs::path const& mount, std::string_view group,
                              GroupFiles const& files) {
    std::size_t left = left_in_group(mount, files);
    fs::path path = mount;
    for (auto const& part : fs::path(group).relative_path()) {
        path /= part;
        left = std::min(left, left_in_group(path, files));
    }
    return left;
}

std::size_t left_in_control_groups(fs::path const& root) {
    fs::path const mount = root / "sys/fs/cgroup";
    std::ifstream in(root / "proc/self/cgroup");
    std::size_t left = unlimited;
    // Lines are "id:controllers:path"; version 2 has id 0 and names no controller.
    for (std::string line; std::getline(in, line);) {
        auto const first = line.find(':');
        auto const second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        std::string controllers = line.substr(first, second - first + 1);
        controllers.front() = controllers.back() = ',';
        std::string_view const path = std::string_view(line).substr(second + 1);
        if (controllers == ",,") left = std::min(left, left_in_hierarchy(mount, path, version_2));
        if (controllers.find(",memory,") != std::string::npos) {
            left = std::min(left, left_in_hierarchy(mount / "memory", path, version_1));
        }
    }
    return left;
}

}  // namespace

std::size_t host_memory_available(fs::path const& root) {
    auto const kibibytes = read_field(root / "proc/meminfo", "MemAvailable:");
    std::size_t const machine = kibibytes ? *kibibytes * 1024 : unlimited;
    return std::min(machine, left_in_control_groups(root));
}

}  // namespace tesserank::kernels
