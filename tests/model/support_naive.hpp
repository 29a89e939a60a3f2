#pragma once

#include "tests/model/support_run.hpp"

#include <cmath>
#include <numbers>
#include <string>
#include <vector>

namespace tesserank::test {

/// A decoder straight from the formulas, in double, for plain rotary embeddings: nothing of kernels
/// or model computes here, nothing is cached, cut or stacked.
class NaiveDecoder {
  public:
    NaiveDecoder(model::DecoderConfig const& config, PseudoWeights const& weights)
        : config_{config}, weights_{weights} {}

    Rows logits(std::vector<std::int32_t> const& tokens) const {
        Matrix x;
        for (auto const id : tokens) x.push_back(row(config_.names.embedding, std::size_t(id)));
        for (std::size_t layer = 0; layer < config_.layers; ++layer) {
            auto const prefix = "model.layers." + std::to_string(layer) + ".";
            add(x, attention(layer, normed(x, prefix + "input_layernorm.weight")));
            add(x, mlp(prefix + "mlp.", normed(x, prefix + "post_attention_layernorm.weight")));
        }
        auto const& head =
            config_.tied_embeddings ? config_.names.embedding : config_.names.lm_head;
        Rows logits;
        for (auto const& values : times(normed(x, "model.norm.weight"), head)) {
            logits.emplace_back(values.begin(), values.end());
        }
        return logits;
    }

  private:
    using Vector = std::vector<double>;
    using Matrix = std::vector<Vector>;

    double weight(std::string const& name, std::size_t row, std::size_t col) const {
        return static_cast<double>(weights_.at(name, row, col));
    }

    Vector row(std::string const& name, std::size_t index) const {
        Vector values(weights_.tensors().at(name).shape[1]);
        for (std::size_t c = 0; c < values.size(); ++c) values[c] = weight(name, index, c);
        return values;
    }

    /// x W^T
    Matrix times(Matrix const& x, std::string const& name) const {
        Matrix y(x.size(), Vector(weights_.tensors().at(name).shape[0]));
        for (std::size_t n = 0; n < y.front().size(); ++n) {
            auto const w = row(name, n);
            for (std::size_t t = 0; t < x.size(); ++t) {
                for (std::size_t k = 0; k < w.size(); ++k) y[t][n] += x[t][k] * w[k];
            }
        }
        return y;
    }

    Matrix linear(Matrix const& x, std::string const& name) const {
        auto y = times(x, name + ".weight");
        if (!weights_.tensors().contains(name + ".bias")) return y;
        for (auto& values : y) {
            for (std::size_t n = 0; n < values.size(); ++n)
                values[n] += weight(name + ".bias", n, 0);
        }
        return y;
    }

    static void add(Matrix& x, Matrix const& y) {
        for (std::size_t t = 0; t < x.size(); ++t) {
            for (std::size_t h = 0; h < x[t].size(); ++h) x[t][h] += y[t][h];
        }
    }

    /// RMSNorm of `count` values from `first` on.
    void norm(Vector& x, std::size_t first, std::size_t count, std::string const& name) const {
        double squares = 0.0;
        for (std::size_t i = 0; i < count; ++i) squares += x[first + i] * x[first + i];
        double const scale =
            std::sqrt(squares / static_cast<double>(count) + static_cast<double>(config_.norm_eps));
        for (std::size_t i = 0; i < count; ++i) x[first + i] *= weight(name, i, 0) / scale;
    }

    Matrix normed(Matrix x, std::string const& name) const {
        for (auto& values : x) norm(values, 0, values.size(), name);
        return x;
    }

    /// Norms and turns every head of q or k.
    void prepare(Matrix& x, std::string const& norm_name) const {
        std::size_t const dim = config_.head_dim;
        for (std::size_t t = 0; t < x.size(); ++t) {
            if (config_.qk_norm == model::QkNorm::whole) norm(x[t], 0, x[t].size(), norm_name);
            for (std::size_t first = 0; first < x[t].size(); first += dim) {
                if (config_.qk_norm == model::QkNorm::heads) norm(x[t], first, dim, norm_name);
                for (std::size_t i = 0; i < dim / 2; ++i) {
                    double const power = 2.0 * static_cast<double>(i) / static_cast<double>(dim);
                    double const angle =
                        static_cast<double>(t) * std::pow(config_.rope.theta, -power);
                    double& a = x[t][first + i];
                    double& b = x[t][first + dim / 2 + i];
                    double const turned = a * std::cos(angle) - b * std::sin(angle);
                    b = b * std::cos(angle) + a * std::sin(angle);
                    a = turned;
                }
            }
        }
    }

    Matrix attention(std::size_t layer, Matrix const& x) const {
        auto const prefix = "model.layers." + std::to_string(layer) + ".self_attn.";
        auto q = linear(x, prefix + "q_proj"), k = linear(x, prefix + "k_proj");
        auto const v = linear(x, prefix + "v_proj");
        prepare(q, prefix + "q_norm.weight");
        prepare(k, prefix + "k_norm.weight");
        std::size_t const dim = config_.head_dim, window = config_.windows[layer];
        Matrix mixed(x.size(), Vector(config_.query_heads * dim));
        for (std::size_t t = 0; t < x.size(); ++t) {
            std::size_t const begin = window > 0 && t + 1 > window ? t + 1 - window : 0;
            for (std::size_t head = 0; head < config_.query_heads; ++head) {
                std::size_t const kv = head / (config_.query_heads / config_.kv_heads);
                double sum = 0.0;
                for (std::size_t s = begin; s <= t; ++s) {
                    double score = 0.0;
                    for (std::size_t d = 0; d < dim; ++d) {
                        score += q[t][head * dim + d] * k[s][kv * dim + d];
                    }
                    double const share = std::exp(score / std::sqrt(static_cast<double>(dim)));
                    sum += share;
                    for (std::size_t d = 0; d < dim; ++d) {
                        mixed[t][head * dim + d] += share * v[s][kv * dim + d];
                    }
                }
                for (std::size_t d = 0; d < dim; ++d) mixed[t][head * dim + d] /= sum;
            }
        }
        return linear(mixed, prefix + "o_proj");
    }

    double activated(double x) const {
        if (config_.activation == kernels::Activation::silu) return x / (1.0 + std::exp(-x));
        return 0.5 * x * (1.0 + std::erf(x / std::numbers::sqrt2));
    }

    Matrix mlp(std::string const& prefix, Matrix const& x) const {
        auto gate = linear(x, prefix + "gate_proj");
        auto const up = linear(x, prefix + "up_proj");
        for (std::size_t t = 0; t < x.size(); ++t) {
            for (std::size_t i = 0; i < up[t].size(); ++i) {
                gate[t][i] = activated(gate[t][i]) * up[t][i];
            }
        }
        return linear(gate, prefix + "down_proj");
    }

    model::DecoderConfig const& config_;
    PseudoWeights const& weights_;
};

}  // namespace tesserank::test
