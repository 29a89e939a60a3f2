#include "io/synthetic_weights.hpp"

#include "kernels/error.hpp"
#include "model/generate.hpp"
#include "model/placement_rules.hpp"
#include "model/residual_route.hpp"
#include "tests/model/support_run.hpp"
#include "tests/support/mpi_test.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace tesserank::io {
namespace {

using kernels::BFloat16;
using kernels::DType;
using model::Region;
using model::WeightRequest;

model::DTypeOf all(DType dtype) {
    return [dtype](std::string_view) { return dtype; };
}

class SyntheticWeightsTest : public test::MpiTest {
  protected:
    SyntheticWeights source_of(int rank, DType dtype = DType::f32) {
        return {model::describe_modules(config), all(dtype), rank, *backend};
    }

    /// What a rank that wants this region of a tensor gets, in rows with `gap` elements between.
    template <class Element = float>
    std::vector<Element> values(std::string const& tensor, Region const& region,
                                std::size_t gap = 0) {
        std::size_t const stride = region.cols.count + gap;
        std::vector<Element> memory(region.rows.count * stride, untouched<Element>());
        auto whole = kernels::view_of(memory.data(), region.rows.count, stride);
        auto source = source_of(1, kernels::dtype_of<Element>());
        WeightRequest const request{
            tensor, {Region{}, region}, whole.cols_from(0, region.cols.count)};
        source.load({&request, 1});
        return memory;
    }
    template <class Element>
    static Element untouched() {
        return kernels::from_float<Element>(-77.0F);
    }

    model::DecoderConfig config = test::tiny_decoder();
    std::unique_ptr<kernels::Backend> backend = kernels::make_reference_backend();
    std::string const table = config.names.embedding, down = "model.layers.1.mlp.down_proj.weight";
};

TEST_F(SyntheticWeightsTest, ARegionHoldsWhatTheWholeHasThere) {
    std::size_t const rows = config.hidden, cols = config.intermediate;
    auto const whole = values(down, {{0, rows}, {0, cols}});
    for (Region const region : {Region{{0, rows}, {7, 9}}, Region{{3, 5}, {0, cols}},
                                Region{{rows - 1, 1}, {cols - 1, 1}}, Region{{2, 4}, {1, 3}}}) {
        constexpr std::size_t gap = 2;
        auto const part = values(down, region, gap);
        std::size_t const stride = region.cols.count + gap;
        for (std::size_t r = 0; r < region.rows.count; ++r) {
            for (std::size_t c = 0; c < stride; ++c) {
                auto const at = (region.rows.begin + r) * cols + region.cols.begin + c;
                auto const expected = c < region.cols.count ? whole[at] : untouched<float>();
                EXPECT_EQ(part[r * stride + c], expected) << r << ", " << c;
            }
        }
    }
}

TEST_F(SyntheticWeightsTest, AreRoundedToTheDtypeOfTheModel) {
    Region const region{{0, 5}, {0, config.hidden}};
    auto const exact = values(table, region);
    auto const rounded = values<BFloat16>(table, region);
    for (std::size_t i = 0; i < exact.size(); ++i) {
        EXPECT_EQ(rounded[i], kernels::from_float<BFloat16>(exact[i]));
    }
}

TEST_F(SyntheticWeightsTest, DifferByPlaceAndTensorAndLieNearWhatTheyAreFor) {
    Region const whole{{0, config.hidden}, {0, config.intermediate}};
    auto const one = values(down, whole),
               other = values("model.layers.0.mlp.down_proj.weight", whole);
    double sum = 0.0, squares = 0.0;
    std::size_t equal = 0;
    for (std::size_t i = 0; i < one.size(); ++i) {
        sum += static_cast<double>(one[i]);
        squares += static_cast<double>(one[i]) * static_cast<double>(one[i]);
        if (one[i] == other[i]) ++equal;
    }
    auto const count = static_cast<double>(one.size());
    // Of 580 numbers: 4 standard errors.
    EXPECT_NEAR(sum / count, 0.0,
                4.0 / std::sqrt(count * static_cast<double>(config.intermediate)));
    EXPECT_NEAR(squares / count * static_cast<double>(config.intermediate), 1.0, 0.15);
    EXPECT_EQ(equal, 0U);
    for (float const scale : values("model.norm.weight", {{0, config.hidden}, {0, 1}})) {
        EXPECT_GE(scale, 0.5F);
        EXPECT_LE(scale, 1.5F);
    }
}

TEST_F(SyntheticWeightsTest, RefuseAnotherTensorOrASizeThatIsNotTheRegions) {
    EXPECT_THROW(values("no.such", {{0, 1}, {0, 1}}), kernels::LogicError);
    std::vector<float> memory(8);
    auto source = source_of(0);
    WeightRequest const request{
        table, {Region{{0, 3}, {0, 4}}}, kernels::view_of(memory.data(), 2, 4)};
    EXPECT_THROW(source.load({&request, 1}), kernels::LogicError);
}

/// Logits of whole models, too: large, but numbers.
TEST_F(SyntheticWeightsTest, MakeAModelWithTheSameTokensUnderEveryPlan) {
    config.layers = 6;
    config.windows.assign(6, 0);
    std::vector<std::vector<std::int32_t>> tokens;
    for (auto const* preset : {"replicate", "shard", "split-batch", "replicate-attention"}) {
        auto source = source_of(world.rank());
        model::Transformer transformer(config, test::preset_plan(config, preset, world.size()),
                                       *backend, world, source, {});
        transformer.load();
        model::GenerateRequest request;
        request.id = "a";
        request.prompt = {1, 2, 3, 4, 5};
        request.max_new_tokens = 12;
        test::KeepLogits logits;
        auto const results =
            model::generate(transformer, world, test::on_rank_0(world, std::vector{request}),
                            {.eos_ids = {}, .logits = &logits});
        for (auto const& result : results) tokens.push_back(result.tokens);
        for (auto const& row : logits.rows["a"]) {
            for (float const logit : row) EXPECT_TRUE(std::isfinite(logit));
        }
    }
    for (auto const& other : tokens) EXPECT_EQ(other, tokens.front());
}

}  // namespace
}  // namespace tesserank::io
