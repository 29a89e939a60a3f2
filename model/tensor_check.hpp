#pragma once

#include "model/decoder_config.hpp"
#include "model/weight_source.hpp"

namespace tesserank::model {

/// Errors: InputError naming tensors of the file that no module needs: the config does not describe
/// them, so results would be wrong. Left out are what is known to be of no use: the lm_head of tied
/// embeddings, layers behind the selected one of a vision encoder, and frequencies that old
/// checkpoints store beside the weights.
void refuse_unknown_tensors(DecoderConfig const& config, WeightSource const& source);

}  // namespace tesserank::model
