#include "kernels/trace.hpp"

#include <nvtx3/nvToolsExt.h>

namespace tesserank::kernels::detail {

void begin_profiler_range(char const* name) noexcept { nvtxRangePushA(name); }
void end_profiler_range() noexcept { nvtxRangePop(); }

}  // namespace tesserank::kernels::detail
