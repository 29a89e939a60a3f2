#include "app/pci_cores.hpp"

#include "kernels/handle.hpp"

#include <hwloc.h>

namespace tesserank::app {
namespace {

struct TopologyTraits {
    using Value = hwloc_topology_t;
    static void close(hwloc_topology_t topology) noexcept { hwloc_topology_destroy(topology); }
};
using Topology = kernels::Handle<TopologyTraits>;

Topology load_topology(std::string const& file) {
    hwloc_topology_t raw = nullptr;
    if (hwloc_topology_init(&raw) != 0) return {};
    Topology topology(raw);
    // Other jobs' cores too: a rank that is bound to the far side is to be told.
    hwloc_topology_set_flags(raw, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
    hwloc_topology_set_io_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_ALL);
    if (!file.empty() && hwloc_topology_set_xml(raw, file.c_str()) != 0) return {};
    if (hwloc_topology_load(raw) != 0) return {};
    return topology;
}

}  // namespace

CoreSet cores_near_pci(std::string const& bus_id, std::string const& topology) {
    CoreSet cores;
    auto const machine = load_topology(topology);
    if (!machine) return cores;
    auto* const device = hwloc_get_pcidev_by_busidstring(machine.get(), bus_id.c_str());
    if (device == nullptr) return cores;
    auto const* const side = hwloc_get_non_io_ancestor_obj(machine.get(), device);
    if (side == nullptr || side->cpuset == nullptr) return cores;
    for (std::size_t core = 0; core < most_cores; ++core) {
        if (hwloc_bitmap_isset(side->cpuset, static_cast<unsigned>(core)) != 0) cores.set(core);
    }
    return cores;
}

}  // namespace tesserank::app
