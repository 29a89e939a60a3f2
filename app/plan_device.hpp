#pragma once

#include <string>
#include <string_view>

namespace tesserank::app {

/// Where a run that is planned will compute.
struct PlannedDevice {
    std::string backend;       ///< cuda, kokkos or reference
    std::string why_not_here;  ///< this process could not run it; empty: it could
    std::string note;          ///< what a reader of the plan should know
};

/// By --backend of `plan`. `auto` takes the measured backend where a machine file says one, else
/// what a run here would take.
PlannedDevice planned_device(std::string_view wish, std::string_view measured);

}  // namespace tesserank::app
