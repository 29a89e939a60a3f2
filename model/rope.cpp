#include "model/rope.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tesserank::model {
namespace {

std::vector<float> plain_frequencies(double theta, std::size_t head_dim) {
    std::vector<float> frequencies(head_dim / 2);
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
        auto const exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
        frequencies[i] = 1.0F / std::pow(static_cast<float>(theta), exponent);
    }
    return frequencies;
}

/// The longer the sequence, the larger the base; up to the original context nothing changes.
double dynamic_theta(RopeConfig const& rope, std::size_t head_dim, std::size_t length) {
    auto const context = static_cast<double>(rope.original_context);
    auto const dim = static_cast<double>(head_dim);
    double const ratio = std::max(static_cast<double>(length), context) / context;
    return rope.theta * std::pow(rope.factor * ratio - (rope.factor - 1.0), dim / (dim - 2.0));
}

/// Long wavelengths are stretched by `factor`, short ones kept, those between blended.
void scale_llama3(RopeConfig const& rope, std::vector<float>& frequencies) {
    auto const context = static_cast<double>(rope.original_context);
    for (auto& frequency : frequencies) {
        double const wavelength = 2.0 * std::numbers::pi / frequency;
        if (wavelength < context / rope.high_freq_factor) continue;
        double smooth = 0.0;
        if (wavelength <= context / rope.low_freq_factor) {
            smooth = (context / wavelength - rope.low_freq_factor) /
                     (rope.high_freq_factor - rope.low_freq_factor);
        }
        frequency =
            static_cast<float>((1.0 - smooth) * frequency / rope.factor + smooth * frequency);
    }
}

/// The index whose wavelength turns `rotations` times within the original context.
double yarn_index(RopeConfig const& rope, std::size_t head_dim, double rotations) {
    return static_cast<double>(head_dim) *
           std::log(static_cast<double>(rope.original_context) /
                    (rotations * 2.0 * std::numbers::pi)) /
           (2.0 * std::log(rope.theta));
}

void scale_yarn(RopeConfig const& rope, std::size_t head_dim, std::vector<float>& frequencies) {
    double low = yarn_index(rope, head_dim, rope.beta_fast);
    double high = yarn_index(rope, head_dim, rope.beta_slow);
    if (rope.truncate) {
        low = std::floor(low);
        high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, static_cast<double>(head_dim) - 1.0);
    if (low == high) high += 0.001;
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
        double const ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
        frequencies[i] =
            static_cast<float>(frequencies[i] / rope.factor * ramp + frequencies[i] * (1.0 - ramp));
    }
}

}  // namespace

std::vector<float> rotary_frequencies(RopeConfig const& rope, std::size_t head_dim,
                                      std::size_t length) {
    using Kind = RopeConfig::Kind;
    double const theta =
        rope.kind == Kind::dynamic_ntk ? dynamic_theta(rope, head_dim, length) : rope.theta;
    auto frequencies = plain_frequencies(theta, head_dim);
    if (rope.kind == Kind::linear) {
        for (auto& frequency : frequencies) frequency /= static_cast<float>(rope.factor);
    } else if (rope.kind == Kind::llama3) {
        scale_llama3(rope, frequencies);
    } else if (rope.kind == Kind::yarn) {
        scale_yarn(rope, head_dim, frequencies);
    }
    return frequencies;
}

void write_rotary_row(RopeConfig const& rope, std::vector<float> const& frequencies,
                      std::size_t position, float* row) {
    // The angle is rounded to f32 before the cosine, as the models were trained.
    auto const scale = static_cast<float>(rope.attention_factor);
    std::size_t const half = frequencies.size();
    for (std::size_t i = 0; i < half; ++i) {
        float const angle = static_cast<float>(position) * frequencies[i];
        row[i] = std::cos(angle) * scale;
        row[half + i] = std::sin(angle) * scale;
    }
}

}  // namespace tesserank::model
