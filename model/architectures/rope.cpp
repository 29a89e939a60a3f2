#include "model/architectures/common.hpp"

#include <algorithm>
#include <cmath>

namespace tesserank::model::architectures {
namespace {

using Kind = RopeConfig::Kind;

constexpr double largest_factor = 1e6;

Kind read_kind(ConfigReader& scaling) {
    scaling.ignore("type");
    scaling.ignore("rope_type");
    auto const name = scaling.text_or("rope_type", scaling.text_or("type", "default"));
    if (name == "default") return Kind::plain;
    if (name == "linear") return Kind::linear;
    if (name == "dynamic") return Kind::dynamic_ntk;
    if (name == "llama3") return Kind::llama3;
    if (name == "yarn") return Kind::yarn;
    scaling.fail("rope_type",
                 "is \"" + name + "\", supported are default, linear, dynamic, llama3, yarn");
}

double positive(ConfigReader& scaling, std::string_view key, double value) {
    if (value <= 0.0)
        scaling.fail(key, "is " + std::to_string(value) + ", expected a positive number");
    return value;
}

double yarn_scale(double factor, double mscale) {
    return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

void read_yarn(ConfigReader& scaling, RopeConfig& rope) {
    rope.beta_fast = positive(scaling, "beta_fast", scaling.number_or("beta_fast", 32.0));
    rope.beta_slow = positive(scaling, "beta_slow", scaling.number_or("beta_slow", 1.0));
    rope.truncate = scaling.flag_or("truncate", true);
    double const mscale = scaling.number_or("mscale", 0.0);
    double const mscale_all = scaling.number_or("mscale_all_dim", 0.0);
    rope.attention_factor = yarn_scale(rope.factor, 1.0);
    if (mscale != 0.0 && mscale_all != 0.0) {
        rope.attention_factor =
            yarn_scale(rope.factor, mscale) / yarn_scale(rope.factor, mscale_all);
    }
    rope.attention_factor = scaling.number_or("attention_factor", rope.attention_factor);
}

void read_scaling(ConfigReader& scaling, DecoderConfig& decoder) {
    auto& rope = decoder.rope;
    rope.kind = read_kind(scaling);
    if (rope.kind == Kind::plain) return;
    rope.factor = positive(scaling, "factor", scaling.number("factor"));
    // The context, an integer, is multiplied with it.
    if (rope.factor > largest_factor) scaling.fail("factor", "is larger than a million");
    rope.original_context = scaling.size_or("original_max_position_embeddings", decoder.context);
    if (rope.kind == Kind::llama3) {
        rope.low_freq_factor =
            positive(scaling, "low_freq_factor", scaling.number("low_freq_factor"));
        rope.high_freq_factor =
            positive(scaling, "high_freq_factor", scaling.number("high_freq_factor"));
        if (rope.high_freq_factor <= rope.low_freq_factor) {
            scaling.fail("high_freq_factor", "must be larger than low_freq_factor");
        }
        return;
    }
    if (rope.kind == Kind::yarn) read_yarn(scaling, rope);
    // Llama-3 configs give the extended context in max_position_embeddings; the others the original
    // one, or either.
    auto const stretched = static_cast<double>(rope.original_context) * std::max(rope.factor, 1.0);
    decoder.context = std::max(decoder.context, static_cast<std::size_t>(stretched));
}

}  // namespace

void read_rope(ConfigReader& config, DecoderConfig& decoder) {
    decoder.rope.theta = config.number_or("rope_theta", 10000.0);
    auto parameters = config.object("rope_parameters");
    auto scaling = config.object("rope_scaling");
    if (parameters && scaling) {
        config.fail("rope_scaling", "stands beside rope_parameters, expected one of them");
    }
    auto& chosen = parameters ? parameters : scaling;
    if (chosen) {
        decoder.rope.theta = chosen->number_or("rope_theta", decoder.rope.theta);
        read_scaling(*chosen, decoder);
        double const partial = chosen->number_or("partial_rotary_factor", 1.0);
        if (partial != 1.0)
            chosen->fail("partial_rotary_factor", "is not 1, which is not supported");
        chosen->finish({});
    }
    positive(config, "rope_theta", decoder.rope.theta);
    if (decoder.rope.theta == 1.0) config.fail("rope_theta", "is 1: all positions would be alike");
    double const partial = config.number_or("partial_rotary_factor", 1.0);
    if (partial != 1.0) config.fail("partial_rotary_factor", "is not 1, which is not supported");
}

}  // namespace tesserank::model::architectures
