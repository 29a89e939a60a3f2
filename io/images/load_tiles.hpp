#pragma once

#include "io/images/decode.hpp"
#include "io/images/tiling.hpp"
#include "model/request.hpp"

#include <string>

namespace tesserank::io {

/// Where pictures come from, what they may cost, and how the model wants them.
struct PictureOptions {
    std::string folder;  ///< that relative paths start from; empty: the current one
    PictureLimits limits;
    TilingOptions tiling;
};

/// The tiles of a picture that is given as a path or as a data URL; what it is, its content
/// decides, not its name. Never waits for a device or a pipe, and never asks the network. Errors:
/// InputError that says what is wrong with it.
model::Picture load_tiles(std::string const& source, PictureOptions const& options);

}  // namespace tesserank::io
