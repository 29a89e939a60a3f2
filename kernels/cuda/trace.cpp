#include "kernels/trace.hpp"

#include <nvtx3/nvToolsExt.h>

namespace tesserank::kernels {

TraceRange::TraceRange(char const* name) noexcept { nvtxRangePushA(name); }

void TraceRange::end() noexcept { nvtxRangePop(); }

}  // namespace tesserank::kernels
