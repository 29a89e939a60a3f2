#include "model/vision_config.hpp"

#include "kernels/error.hpp"

#include <string>

namespace tesserank::model {
namespace {

using kernels::InputError;
using std::to_string;

void check_side(std::string const& what, std::size_t side, std::size_t patch) {
    // Its square counts rows of every activation, whose bytes have to stay within 64 bits.
    constexpr std::size_t largest = 1 << 14;
    if (side > largest) {
        throw InputError("config.json: " + what + " is " + to_string(side) +
                         " pixels, expected at most " + to_string(largest));
    }
    if (side % patch == 0) return;
    throw InputError("config.json: " + what + " is " + to_string(side) +
                     " pixels, expected a multiple of patch_size " + to_string(patch));
}

}  // namespace

void VisionConfig::check() const {
    if (hidden % heads != 0) {
        throw InputError("config.json: the vision encoder's hidden_size " + to_string(hidden) +
                         " is not a multiple of its num_attention_heads " + to_string(heads));
    }
    check_side("the side of a tile", side, patch);
    check_side("the vision encoder's image_size", table_side, patch);
    if (patches_across() % shuffle != 0) {
        throw InputError("config.json: a tile has " + to_string(patches_across()) +
                         " patches across, expected a multiple of " + to_string(shuffle) +
                         ", of which downsample_ratio makes one");
    }
}

}  // namespace tesserank::model
