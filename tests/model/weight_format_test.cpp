#include "model/weight_format.hpp"

#include "kernels/rows.hpp"
#include "tests/model/support_run.hpp"
#include "tests/support/mpi_test.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

namespace tesserank::model {
namespace {

using kernels::DType;

/// Weights of f32 that have the values to which fp8 rounds them, each rank's part for itself.
class DequantisedWeights final : public WeightSource {
  public:
    DequantisedWeights(DecoderConfig const& config, int rank)
        : source_{test::tensors_of(config), rank} {
        for (auto const& module : describe_modules(config)) {
            for (auto const& weight : module.weights) {
                if (is_quantised(WeightFormat::fp8, weight.role)) rounded_.insert(weight.tensor);
            }
        }
    }

    std::map<std::string, TensorInfo, std::less<>> const& tensors() const override {
        return source_.tensors();
    }

    void load(std::span<WeightRequest const> requests) override {
        source_.load(requests);
        for (auto const& request : requests) {
            if (rounded_.contains(request.tensor)) round(request.destination);
        }
    }

  private:
    void round(kernels::TensorView const& weight) const {
        auto const w8 = make_tensor(*backend_, DType::f8e4m3, weight.rows, weight.cols);
        auto const scales = make_tensor(*backend_, DType::f32, 1, weight.rows);
        backend_->quantise_rows(weight, w8.view, scales.view);
        for (std::size_t row = 0; row < weight.rows; ++row) {
            for (std::size_t col = 0; col < weight.cols; ++col) {
                weight.row<float>(row)[col] =
                    kernels::to_float(w8.view.row<kernels::Float8>(row)[col]) *
                    scales.view.row<float>(0)[row];
            }
        }
    }

    std::unique_ptr<kernels::Backend> backend_ = kernels::make_reference_backend();
    test::PseudoWeights source_;
    std::set<std::string, std::less<>> rounded_;
};

class WeightFormatTest : public test::MpiTest {
  protected:
    /// Logits of prompts and new tokens, on rank 0.
    std::map<std::string, test::Rows> logits_of(WeightSource& source, WeightFormat format,
                                                std::string const& wish) {
        auto const plan = test::preset_plan(config, wish, world.size());
        auto const backend = test::make_backend(backend_name);
        options.weights = format;
        Transformer transformer(config, plan, *backend, world, source, options);
        transformer.load();
        std::vector<GenerateRequest> requests(4);
        for (std::size_t i = 0; i < requests.size(); ++i) {
            requests[i].id = std::to_string(i);
            requests[i].prompt = test::pseudo_tokens(config, 3 + 2 * i, i);
            requests[i].max_new_tokens = 3;
            requests[i].stop.ignore_eos = true;
        }
        test::KeepLogits logits;
        static_cast<void>(generate(transformer, world, test::on_rank_0(world, requests),
                                   {.eos_ids = {}, .text = nullptr, .logits = &logits}));
        return logits.rows;
    }

    void compare(std::string const& wish, double tolerance) {
        SCOPED_TRACE(wish);
        test::PseudoWeights stored(test::tensors_of(config), world.rank());
        DequantisedWeights rounded(config, world.rank());
        auto const found = logits_of(stored, WeightFormat::fp8, wish);
        auto const wanted = logits_of(rounded, WeightFormat::file, wish);
        EXPECT_EQ(found.size(), wanted.size());
        EXPECT_EQ(found.empty(), world.rank() != 0);
        for (auto const& [id, rows] : wanted) test::expect_close(found.at(id), rows, tolerance);
    }

    DecoderConfig config = test::decoder_with_everything();
    TransformerOptions options{.max_rows = 9, .max_logit_rows = 2};
    std::string backend_name = "reference";
};

/// An element times its scale is rounded to f32 once, there as here, and the sums are the same
/// ones.
TEST_F(WeightFormatTest, LogitsAreThoseOfTheRoundedWeightsInF32) {
    for (auto const& decoder : test::decoders()) {
        SCOPED_TRACE(decoder.name);
        config = decoder.config;
        for (auto const* wish : {"shard", "replicate"}) compare(wish, 0.0);
    }
    for (auto const* wish : {"split-batch-attention", "*.mlp=single:0"}) compare(wish, 0.0);
}

TEST_F(WeightFormatTest, TheyAreInBf16) {
    options.compute = options.inner = DType::bf16;
    for (auto const* wish : {"shard", "replicate"}) compare(wish, 0.0);
}

/// Blocks of rows may be summed up in another order than whole matrices.
TEST_F(WeightFormatTest, TheyAreOnTheFastBackend) {
    backend_name = "kokkos";
    for (auto const* wish : {"shard", "replicate"}) compare(wish, test::rounding_tolerance);
}

/// A weight moves by 6 % at most, and by 2 to 3 % on average: that is what a layer's result moves
/// by, and such errors of the few layers add up like independent ones.
TEST_F(WeightFormatTest, LogitsStayNearThoseOfTheFile) {
    for (auto const* wish : {"shard", "replicate"}) {
        SCOPED_TRACE(wish);
        test::PseudoWeights stored(test::tensors_of(config), world.rank());
        auto const exact = logits_of(stored, WeightFormat::file, wish);
        auto const found = logits_of(stored, WeightFormat::fp8, wish);
        for (auto const& [id, rows] : exact) {
            double error = 0.0, size = 0.0;
            // Of the prompt: new tokens may be other ones.
            for (std::size_t v = 0; v < rows.front().size(); ++v) {
                auto const value = static_cast<double>(rows.front()[v]);
                error += std::pow(static_cast<double>(found.at(id).front()[v]) - value, 2);
                size += std::pow(value, 2);
            }
            EXPECT_GT(error, 0.0);
            EXPECT_LT(std::sqrt(error / size), 0.15) << id;
        }
    }
}

}  // namespace
}  // namespace tesserank::model
