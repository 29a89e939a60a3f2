#include "model/generate.hpp"
#include "model/plan_facts.hpp"
#include "model/vision/vision_encoder.hpp"
#include "tests/model/support_calls.hpp"
#include "tests/model/support_run.hpp"
#include "tests/model/support_vision.hpp"
#include "tests/support/mpi_test.hpp"
#include "tests/support/resident_reference.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tesserank::model {
namespace {

using kernels::DType;
using parallel::Collective;
using test::CountedCall;

/// An encoder like the large one of InternVL: 25 heads, rms norms, a norm of whole rows of q and k;
/// tiles larger than those that its positions are made for.
DecoderConfig large_encoder() {
    auto vit = test::with(test::tiny_intern_vit(), {{"hidden_size", 50},
                                                    {"num_attention_heads", 25},
                                                    {"qkv_bias", false},
                                                    {"qk_normalization", true},
                                                    {"norm_type", "rms_norm"}});
    return test::vision_decoder(
        test::with(test::tiny_internvl_chat(vit), {{"force_image_size", 42}}));
}

class VisionReality : public test::MpiTest {
  protected:
    /// What an encoder allocates is what is stated; what it sends while it encodes so many tiles,
    /// too.
    void check(PlacementPlan const& plan, std::size_t tiles) {
        test::ResidentReference backend;  // counts what is really asked for
        test::PseudoWeights source(test::tensors_of(config), world.rank());
        VisionEncoder encoder({config, plan, backend, world, source, options});
        auto const memory = vision_memory(config, plan, options, world.rank());
        EXPECT_EQ(encoder.weight_bytes(), weight_bytes(plan));
        EXPECT_EQ(encoder.forward_bytes(), memory.bytes());
        std::size_t const loading = options.weights == WeightFormat::file ? 0 : load_bytes(plan);
        EXPECT_EQ(backend.allocated, weight_bytes(plan) + memory.bytes() + loading);
        encoder.load();
        auto const features = make_tensor(
            backend, DType::f32, tiles * config.vision->features_per_tile(), config.hidden);
        backend.allocated = 0;
        static_cast<void>(test::take_counted_calls());
        std::vector<std::uint8_t> const pixels(3 * config.vision->side * config.vision->side, 99);
        std::vector<Tile> const mine(world.rank() == choosing_rank ? tiles : 0, Tile(pixels));
        encoder.encode(mine, tiles, features.view);
        test::expect_equal_calls(test::take_counted_calls(), calls_of(plan, tiles));
        EXPECT_EQ(backend.allocated, 0) << "all memory is there before";
    }

    std::vector<CountedCall> calls_of(PlacementPlan const& plan, std::size_t tiles) const {
        std::vector<CountedCall> calls;
        std::size_t const at_once = tiles_at_once(*config.vision, plan, options.vision);
        for (auto const chunk : tile_chunks(tiles, at_once)) {
            test::add_calls(calls, world.rank(), exchanges_of_tiles(config, plan, options, chunk));
        }
        return calls;
    }

    std::size_t weight_bytes(PlacementPlan const& plan) const {
        std::size_t bytes = 0;
        for (auto const& module : describe_vision(config)) {
            bytes += weight_bytes_of(config, plan, options.weights, module, dtype_of)
                         .at(static_cast<std::size_t>(world.rank()));
        }
        return bytes;
    }

    /// Of the largest module, before it is quantised.
    std::size_t load_bytes(PlacementPlan const& plan) const {
        std::size_t most = 0;
        for (auto const& module : describe_vision(config)) {
            std::size_t bytes = 0;
            for (auto const role : {Role::qkv, Role::output, Role::up, Role::down}) {
                auto part = module;
                std::erase_if(part.weights,
                              [&](auto const& weight) { return weight.role != role; });
                bytes +=
                    bytes_waiting(weight_bytes_of(config, plan, WeightFormat::file, part, dtype_of)
                                      .at(static_cast<std::size_t>(world.rank())));
            }
            most = std::max(most, bytes);
        }
        return most;
    }

    void check_batch(PlacementPlan const& plan) {
        auto const& vision = *config.vision;
        std::size_t const features = vision.features_per_tile(), tiles = 3;
        std::vector<GenerateRequest> requests(3);
        std::size_t const side_bytes = 3 * vision.side * vision.side;
        for (std::size_t i = 0; i < requests.size(); ++i) {
            requests[i].id = std::to_string(i);
            requests[i].prompt = test::pseudo_tokens(config, 4 + 2 * features, i);
            requests[i].max_new_tokens = 1;
        }
        auto const add = [&](GenerateRequest& request, std::size_t of_tiles) {
            request.pictures = {{{of_tiles, std::vector<std::uint8_t>(of_tiles * side_bytes, 7)}},
                                {{1, of_tiles * features}}};
        };
        add(requests[0], 2);
        add(requests[2], 1);
        std::size_t const tokens = 3 * requests[0].prompt.size();
        std::vector<CountedCall> wanted;
        test::add_calls(wanted, world.rank(),
                        exchanges_of_start(world.size(), options,
                                           {.sequences = 3, .tokens = tokens, .places = 2}));
        auto const encoding = calls_of(plan, tiles);
        wanted.insert(wanted.end(), encoding.begin(), encoding.end());

        test::ResidentReference backend;
        test::PseudoWeights source(test::tensors_of(config), world.rank());
        Transformer transformer(config, plan, backend, world, source, options);
        transformer.load();
        backend.allocated = 0;
        static_cast<void>(test::take_counted_calls());
        static_cast<void>(generate(transformer, world, test::on_rank_0(world, requests), {}));
        auto found = test::take_counted_calls();
        EXPECT_GE(found.size(), wanted.size());
        found.resize(std::min(found.size(), wanted.size()));
        test::expect_equal_calls(found, wanted);

        std::size_t const encoder =
            options.vision.keep
                ? 0
                : weight_bytes(plan) + vision_memory(config, plan, options, world.rank()).bytes();
        std::size_t const length = requests[0].prompt.size() + 1;
        std::size_t const own =
            parallel::Partition(3, plan.owners()).count(plan.owner_of(world.rank())) * length;
        EXPECT_EQ(backend.allocated, encoder + feature_bytes(config, tiles) +
                                         transformer.cache_bytes(3 * length, own));
    }

    void check_presets() {
        for (auto const* wish :
             {"shard", "replicate", "replicate-attention", "vision.*=split-batch",
              "vision.*=single:0", "vision.*.attention=split-batch",
              "vision.embedding=single:0,vision.layers.*=split-batch",
              "vision.*.mlp=replicate,vision.projector=split-batch"}) {
            SCOPED_TRACE(wish);
            check(test::preset_plan(config, wish, world.size()), 7);
        }
    }

    DTypeOf const dtype_of = [](std::string_view) { return DType::f32; };
    DecoderConfig config = test::vision_decoder();
    TransformerOptions options{.max_rows = 16, .max_logit_rows = 2, .vision = {.max_tiles = 3}};
};

TEST_F(VisionReality, PresetsAllocateAndSendWhatTheySay) { check_presets(); }

TEST_F(VisionReality, ALargeEncoderDoes) {
    config = large_encoder();
    check_presets();
}

TEST_F(VisionReality, Bf16DoesWhateverModulesKeep) {
    options.compute = DType::bf16;
    check_presets();
    options.inner = DType::bf16;
    check_presets();
}

TEST_F(VisionReality, Fp8WeightsDo) {
    options.weights = WeightFormat::fp8;
    check_presets();
}

TEST_F(VisionReality, TwentyMixedPlansDo) {
    std::vector<DecoderConfig> const configs{test::vision_decoder(), large_encoder()};
    for (unsigned seed = 1; seed <= 20; ++seed) {
        config = configs[seed % 2];
        SCOPED_TRACE("seed " + std::to_string(seed));
        check(test::mixed_plan(config, world.size(), seed), 1 + seed % 5);
    }
}

TEST_F(VisionReality, ANormOfWholeRowsSendsTwoNumbersForEachRow) {
    config = large_encoder();
    auto const plan = test::preset_plan(config, "shard", world.size());
    std::size_t const tiles = 3, rows = tiles * config.vision->rows_per_tile();
    std::size_t found = 0;
    for (auto const& exchange : exchanges_of_tiles(config, plan, options, tiles)) {
        if (exchange.place != Exchange::Place::within) continue;
        ++found;
        EXPECT_EQ(name_of(exchange.kind), "all-reduce");
        EXPECT_EQ(exchange.bytes, 2 * rows * sizeof(float));
    }
    EXPECT_EQ(found, world.size() == 1 ? 0 : config.vision->layers);
}

/// A batch with two pictures of two tiles and one: its start, the encoding and the prefill.
TEST_F(VisionReality, ABatchSendsAndAllocatesWhatItSays) {
    for (auto const* wish : {"shard", "split-batch", "vision.*=split-batch"}) {
        for (bool const keep : {true, false}) {
            SCOPED_TRACE(std::string(wish) + (keep ? ", kept" : ", loaded for the batch"));
            options.vision.keep = keep;
            check_batch(test::preset_plan(config, wish, world.size()));
        }
    }
}

}  // namespace
}  // namespace tesserank::model
