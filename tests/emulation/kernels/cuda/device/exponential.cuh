#pragma once

#include <cmath>

namespace tesserank::kernels::cuda {

inline float fast_exp2(float x) { return std::exp2(x); }

}  // namespace tesserank::kernels::cuda
