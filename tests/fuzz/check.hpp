#pragma once

#include <cstdlib>

namespace tesserank::fuzz {

/// What holds for any input, or the fuzzer has found a bug.
inline void check(bool holds) {
    if (!holds) std::abort();
}

}  // namespace tesserank::fuzz
