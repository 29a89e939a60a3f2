#include "kernels/cuda_device.hpp"
#include "model/generate.hpp"
#include "model/vision/vision_encoder.hpp"
#include "parallel/nccl.hpp"
#include "parallel/self_communicator.hpp"
#include "tests/model/support_resident.hpp"
#include "tests/model/support_run.hpp"
#include "tests/model/support_vision.hpp"
#include "tests/support/mpi_test.hpp"
#include "tests/support/nccl_double.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

/// The vision encoder on the CUDA backend and NCCL, emulated: what it queues is there when it is
/// read, and fits the kernels.
namespace tesserank::model {
namespace {

using kernels::DType;

/// Waits for the zeros of fresh memory, past which weights are written.
class WaitingWeights final : public WeightSource {
  public:
    WaitingWeights(DecoderConfig const& config, kernels::Backend& backend, int rank)
        : weights_{test::tensors_of(config), rank}, backend_{backend} {}
    std::map<std::string, TensorInfo, std::less<>> const& tensors() const override {
        return weights_.tensors();
    }
    void load(std::span<WeightRequest const> requests) override {
        backend_.synchronize();
        weights_.load(requests);
    }

  private:
    test::PseudoWeights weights_;
    kernels::Backend& backend_;
};

class VisionEmulatedTest : public test::MpiTest {
  protected:
    std::vector<std::vector<std::uint8_t>> const& tiles() {
        while (pixels_.size() < 4) {
            auto& tile = pixels_.emplace_back(3 * config.vision->side * config.vision->side);
            for (std::size_t i = 0; i < tile.size(); ++i) {
                double const draw =
                    kernels::uniform_draw(pixels_.size(), 0, 0, static_cast<std::uint32_t>(i));
                tile[i] = static_cast<std::uint8_t>(draw * 256.0);
            }
        }
        return pixels_;
    }

    test::Rows encode(kernels::Backend& device, parallel::Communicator& group,
                      PlacementPlan const& plan, TransformerOptions const& options) {
        WaitingWeights source(config, device, group.rank());
        VisionEncoder encoder({config, plan, device, group, source, options});
        encoder.load();
        std::size_t const count = tiles().size();
        auto const features = make_tensor(
            device, DType::f32, count * config.vision->features_per_tile(), config.hidden);
        encoder.encode(group.rank() == choosing_rank
                           ? std::vector<Tile>(tiles().begin(), tiles().end())
                           : std::vector<Tile>(),
                       count, features.view);
        test::Rows rows(features.view.rows, std::vector<float>(config.hidden));
        for (std::size_t row = 0; row < rows.size(); ++row) {
            device.copy_to_host(features.view.rows_from(row, 1).data,
                                std::as_writable_bytes(std::span(rows[row])));
        }
        return rows;
    }

    void compare(std::initializer_list<char const*> wishes, TransformerOptions const& options,
                 double tolerance = test::rounding_tolerance) {
        test::OneRank alone;
        auto const reference = kernels::make_reference_backend();
        auto const wanted =
            encode(*reference, alone, test::preset_plan(config, "replicate", 1), {});
        for (auto const* wish : wishes) {
            SCOPED_TRACE(wish);
            auto const plan = test::preset_plan(config, wish, world.size());
            test::expect_close(encode(*backend, *ranks, plan, options), wanted, tolerance);
        }
    }

    std::unique_ptr<parallel::Communicator> connect() {
        if (world.size() == 1) return std::make_unique<parallel::SelfCommunicator>(*backend);
        return parallel::make_nccl_communicator(world, kernels::cuda_stream_of(*backend),
                                                {.library = NCCL_DOUBLE, .seconds = 60.0});
    }

    void TearDown() override {
        EXPECT_THAT(test::nccl_double(NCCL_DOUBLE).misuse, ::testing::IsEmpty());
        MpiTest::TearDown();
    }

    DecoderConfig config = test::vision_decoder();
    std::unique_ptr<kernels::Backend> backend = kernels::make_cuda_backend(0);
    std::unique_ptr<parallel::Communicator> ranks = connect();

  private:
    std::vector<std::vector<std::uint8_t>> pixels_;
};

TEST_F(VisionEmulatedTest, GivesTheFeaturesOfTheReference) {
    compare({"shard", "vision.*=split-batch", "vision.*=single:0"}, {.vision = {.max_tiles = 3}});
}

TEST_F(VisionEmulatedTest, GivesThemOfALargeEncoderToo) {
    auto const vit = test::with(test::tiny_intern_vit(), {{"hidden_size", 40},
                                                          {"qkv_bias", false},
                                                          {"qk_normalization", true},
                                                          {"norm_type", "rms_norm"}});
    config =
        test::vision_decoder(test::with(test::tiny_internvl_chat(vit), {{"force_image_size", 42}}));
    compare({"shard", "vision.*=split-batch"}, {});
}

// bf16 rounds to 2^-9 of a value, some dozen times on the way through three layers.
TEST_F(VisionEmulatedTest, GivesThemNearlyInBf16) {
    compare({"shard"}, {.compute = DType::bf16, .inner = DType::bf16}, 0.05);
}

TEST_F(VisionEmulatedTest, PutsThemIntoPromptsWhoseTokensTheDeviceChooses) {
    auto requests = test::mixed_requests(config);
    std::size_t const features = config.vision->features_per_tile();
    for (std::size_t const i : {0U, 2U}) {
        auto& prompt = requests[i].prompt;
        prompt.insert(prompt.begin() + 1, features, 3);
        requests[i].pictures = {{{1, tiles()[i]}}, {{1, features}}};
    }
    std::vector<std::vector<GenerateResult>> results;
    for (bool const resident : {false, true}) {
        for (bool const keep : {true, false}) {
            WaitingWeights source(config, *backend, world.rank());
            Transformer model(config, test::preset_plan(config, "shard", world.size()), *backend,
                              *ranks, source, {.resident = resident, .vision = {.keep = keep}});
            model.load();
            results.push_back(generate(model, world, test::on_rank_0(world, requests), {}));
            backend->synchronize();
        }
    }
    for (auto const& other : results) test::expect_same(other, results.front());
}

}  // namespace
}  // namespace tesserank::model
