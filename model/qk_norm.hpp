#pragma once

#include <cstdint>

namespace tesserank::model {

/// The RMSNorm of q and k before the rotation.
enum class QkNorm : std::uint8_t {
    none,
    heads,  ///< of each head, with one weight for all
    whole,  ///< of all heads together
};

}  // namespace tesserank::model
