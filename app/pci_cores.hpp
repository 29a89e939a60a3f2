#pragma once

#include "app/machine.hpp"

#include <string>

namespace tesserank::app {

/// The cores on the side of the machine to which a PCI device is connected; none when that is
/// unknown. `topology` is a file of hwloc's instead of this machine.
CoreSet cores_near_pci(std::string const& bus_id, std::string const& topology = "");

}  // namespace tesserank::app
