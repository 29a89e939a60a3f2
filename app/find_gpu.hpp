#pragma once

#include "app/device_choice.hpp"

namespace tesserank::app {

/// What this process has of GPUs, and the one that is its own among those of its node. Touches no
/// device.
RankGpu find_gpu(int rank_on_node);

}  // namespace tesserank::app
