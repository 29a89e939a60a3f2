#include "kernels/trace.hpp"

#include <nvtx3/nvToolsExt.h>

namespace tesserank::kernels {

TraceRange::TraceRange(char const* name) noexcept { nvtxRangePushA(name); }

TraceRange::~TraceRange() { nvtxRangePop(); }

}  // namespace tesserank::kernels
