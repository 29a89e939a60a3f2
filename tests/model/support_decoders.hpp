#pragma once

#include "tests/model/support_model.hpp"

#include <ostream>
#include <string>
#include <vector>

namespace tesserank::test {

struct NamedDecoder {
    std::string name;
    model::DecoderConfig config;
};
inline void PrintTo(NamedDecoder const& decoder, std::ostream* out) { *out << decoder.name; }

struct HeadCounts {
    std::size_t query, kv, dim;
};

inline model::DecoderConfig decoder_with(HeadCounts heads) {
    auto config = tiny_decoder();
    config.query_heads = heads.query;
    config.kv_heads = heads.kv;
    config.head_dim = heads.dim;
    config.rope.theta = 100.0;  // so that a few positions turn every pair visibly
    return config;
}

inline void add_biases(model::DecoderConfig& config) {
    config.qkv_bias = config.output_bias = config.mlp_bias = true;
}

/// GQA, norms of heads, every bias and a window: all that a decoder can have at once.
inline model::DecoderConfig decoder_with_everything() {
    auto config = decoder_with({6, 2, 4});
    add_biases(config);
    config.qk_norm = model::QkNorm::heads;
    config.windows = {3, 5};
    return config;
}

/// Small decoders that differ in what a placement could get wrong; on 5 ranks some have fewer heads
/// than ranks, one also fewer vocabulary rows and MLP columns.
inline std::vector<NamedDecoder> decoders() {
    using Kind = model::RopeConfig::Kind;
    auto one_kv_head = decoder_with({5, 1, 8});
    one_kv_head.rope = {
        .kind = Kind::llama3, .theta = 100.0, .factor = 4.0, .original_context = 16};
    auto tied = decoder_with({6, 3, 6});
    tied.tied_embeddings = true;
    auto head_norms = decoder_with({4, 2, 8});
    head_norms.qk_norm = model::QkNorm::heads;
    auto whole_norms = decoder_with({6, 2, 4});
    whole_norms.qk_norm = model::QkNorm::whole;
    auto biases = decoder_with({4, 4, 4});
    add_biases(biases);
    biases.activation = kernels::Activation::gelu;
    auto window = decoder_with({4, 2, 6});
    window.windows = {3, 0};
    auto few_units = decoder_with({2, 1, 4});
    few_units.vocabulary = 3;
    few_units.intermediate = 2;
    add_biases(few_units);
    auto yarn = decoder_with({3, 3, 8});
    yarn.rope = {.kind = Kind::yarn,
                 .theta = 100.0,
                 .factor = 4.0,
                 .original_context = 16,
                 .attention_factor = 1.14};
    return {{"one_kv_head", one_kv_head},
            {"tied", tied},
            {"head_norms", head_norms},
            {"whole_norms", whole_norms},
            {"biases", biases},
            {"window", window},
            {"few_units", few_units},
            {"yarn", yarn},
            {"everything", decoder_with_everything()}};
}

/// Tokens of the vocabulary, without a pattern.
inline std::vector<std::int32_t> pseudo_tokens(model::DecoderConfig const& config,
                                               std::size_t length, std::uint64_t seed) {
    std::vector<std::int32_t> tokens;
    for (std::size_t i = 0; i < length; ++i) {
        double const draw = kernels::uniform_draw(seed, 0, 0, static_cast<std::uint32_t>(i));
        tokens.push_back(static_cast<std::int32_t>(draw * static_cast<double>(config.vocabulary)));
    }
    return tokens;
}

}  // namespace tesserank::test
