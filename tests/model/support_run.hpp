#pragma once

#include "model/generate.hpp"
#include "model/placement_rules.hpp"
#include "model/residual_route.hpp"
#include "model/sequence_state.hpp"
#include "model/static_batch.hpp"
#include "tests/model/support_decoders.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::test {

using Rows = std::vector<std::vector<float>>;

/// One rank that needs nobody: what the others are compared with, inside a job of any size.
class OneRank final : public parallel::Communicator {
  public:
    int rank() const override { return 0; }
    int size() const override { return 1; }
    void do_all_reduce(std::span<std::byte>, kernels::DType) override {}
    void do_reduce_scatter(std::span<std::byte> data, kernels::DType, std::span<std::size_t const>,
                           std::span<std::byte> mine) override {
        std::ranges::copy(data, mine.begin());
    }
    void do_all_gather(std::span<std::byte const> mine, std::span<std::size_t const>,
                       std::span<std::byte> all) override {
        if (mine.data() != all.data()) std::ranges::copy(mine, all.begin());
    }
    void do_reduce(std::span<std::byte>, kernels::DType, int) override {}
    void do_gather(std::span<std::byte const> mine, std::span<std::size_t const>,
                   std::span<std::byte> all, int) override {
        if (mine.data() != all.data()) std::ranges::copy(mine, all.begin());
    }
    void do_scatter(std::span<std::byte const> all, std::span<std::size_t const>,
                    std::span<std::byte> mine, int) override {
        if (mine.data() != all.data()) std::ranges::copy(all, mine.begin());
    }
    void do_transfer(std::span<std::byte>, int, int) override {}
    void do_broadcast(std::span<std::byte>, int) override {}
    void do_all_to_all(std::span<std::byte const> send, std::span<std::size_t const>,
                       std::span<std::byte> received, std::span<std::size_t const>) override {
        std::ranges::copy(send, received.begin());
    }
};

inline std::unique_ptr<kernels::Backend> make_backend(std::string_view name) {
    return name == "kokkos" ? kernels::make_kokkos_backend() : kernels::make_reference_backend();
}

inline model::PlacementPlan preset_plan(model::DecoderConfig const& config, std::string_view preset,
                                        int ranks) {
    auto const modules = describe_modules(config);
    auto plan = make_plan(modules, preset, ranks);
    settle_streams(plan, modules, kernels::DType::f32);
    return plan;
}

/// Every placement that a job of so many ranks can give a module.
inline std::vector<model::Placement> placements_for(int ranks) {
    using model::Placement;
    std::vector<Placement> all{Placement::shard, Placement::replicate, Placement::split_batch};
    for (int rank = 0; rank < ranks; ++rank) all.push_back(Placement::single(rank));
    return all;
}

/// Each module but the norms at random; the same on all ranks.
inline model::PlacementPlan mixed_plan(model::DecoderConfig const& config, int ranks,
                                       unsigned seed) {
    auto plan = preset_plan(config, "shard", ranks);
    auto const choices = placements_for(ranks);
    std::mt19937 random(seed);
    for (auto& [name, placement] : plan.placements) {
        if (name.find("norm") != std::string::npos) continue;
        placement = choices[random() % choices.size()];
    }
    settle_streams(plan, describe_modules(config), kernels::DType::f32);
    return plan;
}

struct RunOptions {
    std::string backend = "reference";
    model::TransformerOptions limits = {};
    kernels::DType weights = kernels::DType::f32;
};

struct LoadedModel {
    LoadedModel(model::DecoderConfig const& config, model::PlacementPlan const& plan,
                parallel::Communicator& ranks, RunOptions const& options = {})
        : backend{make_backend(options.backend)},
          source{tensors_of(config, options.weights), ranks.rank()},
          transformer{config, plan, *backend, ranks, source, options.limits} {
        transformer.load();
    }
    std::unique_ptr<kernels::Backend> backend;
    PseudoWeights source;
    model::Transformer transformer;
};

/// The whole model on one rank with the reference backend: the truth of this folder.
class Alone {
  public:
    explicit Alone(model::DecoderConfig const& config, kernels::DType weights = kernels::DType::f32)
        : model_{config, preset_plan(config, "replicate", 1), rank_, {.weights = weights}} {}

    /// Logits behind each token.
    Rows logits(std::vector<std::int32_t> const& tokens) {
        auto& transformer = model_.transformer;
        model::StaticBatch batch(transformer.config(), {{.prompt = tokens}});
        auto const needed = batch.cache_rows();
        transformer.reserve_cache(needed.all, needed.dealt);
        Rows rows;
        prefill(transformer, batch, [&](model::LogitBlock const& logits, auto const&) {
            kernels::ConstTensorView const block = transformer.whole_logits(logits.local).local;
            for (std::size_t i = 0; i < block.rows; ++i) {
                rows.emplace_back(block.row<float>(i), block.row<float>(i) + block.cols);
            }
        });
        return rows;
    }

    /// Generates token by token, running prompt and new tokens anew each time: no batch, no cache.
    model::GenerateResult generate(model::GenerateRequest const& request,
                                   std::span<std::int32_t const> eos_ids = {}) {
        model::SequenceState state(request, eos_ids, nullptr);
        auto tokens = request.prompt;
        for (bool ended = false; !ended;) {
            auto last = logits(tokens).back();
            auto const params = state.next_sampling();
            std::vector<kernels::TokenLogprob> chosen(1);
            model_.backend->sample(kernels::view_of(last.data(), 1, last.size()), {&params, 1},
                                   chosen);
            ended = state.append(chosen[0], {});
            tokens.push_back(chosen[0].token);
        }
        return state.take_result();
    }

    PseudoWeights const& weights() const { return model_.source; }

  private:
    OneRank rank_;
    LoadedModel model_;
};

/// Keeps every row by request id.
class KeepLogits final : public model::LogitsSink {
  public:
    void append(std::string const& request_id, std::span<float const> logits) override {
        rows[request_id].emplace_back(logits.begin(), logits.end());
    }
    std::map<std::string, Rows> rows;
};

/// What rank 0 passes, and nothing on the others.
template <class T>
std::vector<T> on_rank_0(parallel::Communicator const& ranks, std::vector<T> const& all) {
    return ranks.rank() == 0 ? all : std::vector<T>();
}

/// Other ranks and backends add the same few dozen float terms in another order: an error near 1e-6
/// of the largest logit. Leaving out any one weight changes logits by far more than 1e-4 of it.
constexpr double rounding_tolerance = 1e-4;

inline void expect_close(Rows const& found, Rows const& expected,
                         double tolerance = rounding_tolerance) {
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t t = 0; t < found.size(); ++t) {
        ASSERT_EQ(found[t].size(), expected[t].size());
        double largest = 0.0, worst = 0.0;
        for (std::size_t v = 0; v < found[t].size(); ++v) {
            auto const value = static_cast<double>(expected[t][v]);
            largest = std::max(largest, std::abs(value));
            double const error = std::abs(static_cast<double>(found[t][v]) - value);
            worst = std::isnan(error) ? INFINITY : std::max(worst, error);
        }
        EXPECT_LE(worst, tolerance * largest) << "row " << t;
    }
}

}  // namespace tesserank::test
