#pragma once

#include "io/images/decode.hpp"
#include "io/images/decode_room.hpp"
#include "io/images/tiling.hpp"
#include "model/request.hpp"

#include <cstddef>
#include <memory>
#include <string>

namespace tesserank::io {

/// Where pictures come from, what they may cost, and how the model wants them.
struct PictureOptions {
    std::string folder;  ///< that relative paths start from; empty: the current one
    PictureLimits limits;
    TilingOptions tiling;
    /// For all threads: what pictures take while they are decoded and cut.
    std::shared_ptr<DecodeRoom> room = std::make_shared<DecodeRoom>(std::size_t{256} << 20);
};

/// The tiles of a picture that is given as a path or as a data URL; what it is, its content
/// decides, not its name. Never waits for a device or a pipe, and never asks the network. Errors:
/// InputError that says what is wrong with it.
model::Picture load_tiles(std::string const& source, PictureOptions const& options);

}  // namespace tesserank::io
