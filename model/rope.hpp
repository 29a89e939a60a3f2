#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tesserank::model {

/// Rotary position embedding as a config.json describes it (rope_theta and rope_scaling, or
/// rope_parameters). Source of the variants: Hugging Face transformers, modeling_rope_utils.py;
/// YaRN: https://arxiv.org/abs/2309.00071
struct RopeConfig {
    enum class Kind : std::uint8_t { plain, linear, dynamic_ntk, llama3, yarn };

    Kind kind = Kind::plain;
    double theta = 10000.0;
    double factor = 1.0;
    std::size_t original_context = 0;  ///< the context before scaling: dynamic_ntk, llama3, yarn
    double low_freq_factor = 1.0, high_freq_factor = 4.0;  ///< llama3
    double beta_fast = 32.0, beta_slow = 1.0;              ///< yarn
    double attention_factor = 1.0;                         ///< yarn: multiplies cosines and sines
    bool truncate = true;                                  ///< yarn: round the bounds of the ramp
};

/// The D/2 rotation frequencies, radians per position, for a sequence of `length` tokens; only
/// dynamic_ntk depends on the length.
std::vector<float> rotary_frequencies(RopeConfig const& rope, std::size_t head_dim,
                                      std::size_t length);

/// Writes one row of cos_sin [D]: D/2 cosines, then D/2 sines, of `position`, times the attention
/// factor.
void write_rotary_row(RopeConfig const& rope, std::vector<float> const& frequencies,
                      std::size_t position, float* row);

}  // namespace tesserank::model
