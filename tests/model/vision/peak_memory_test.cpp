#include "model/generate.hpp"
#include "model/plan_facts.hpp"
#include "tests/model/support_run.hpp"
#include "tests/model/support_vision.hpp"
#include "tests/support/mpi_test.hpp"
#include "tests/support/queued_world.hpp"
#include "tests/support/resident_reference.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tesserank::model {
namespace {

using kernels::DType;

/// What a plan says that each rank takes at the same time, at most, is what it does take in a run
/// of several batches: to the byte.
class PeakMemory : public test::MpiTest {
  protected:
    /// Pictures and so many tokens of text.
    Workload workload(std::size_t text) const {
        std::size_t const tiles = 2;
        return {.batch = 2,
                .prompt = text + tiles * config.vision->features_per_tile(),
                .new_tokens = 2,
                .tiles = tiles};
    }

    std::vector<GenerateRequest> requests_of(Workload const& work) const {
        std::vector<GenerateRequest> requests(work.batch);
        std::vector<std::uint8_t> const rgb(work.tiles * config.vision->tile_bytes(), 7);
        for (std::size_t i = 0; i < requests.size(); ++i) {
            requests[i].id = std::to_string(i);
            requests[i].prompt = test::pseudo_tokens(config, work.prompt, i);
            requests[i].pictures = {{{work.tiles, rgb}},
                                    {{1, work.tiles * config.vision->features_per_tile()}}};
            requests[i].max_new_tokens = work.new_tokens;
            requests[i].stop.ignore_eos = true;
        }
        return requests;
    }

    void check(PlacementPlan const& plan, Workload const& work) {
        auto facts = memory_of(config, plan, options, work, [&](std::string_view) {
                         return stored;
                     }).at(static_cast<std::size_t>(world.rank()));
        test::ResidentReference backend;
        test::QueuedWorld queued(world);
        parallel::Communicator& ranks =
            options.resident ? static_cast<parallel::Communicator&>(queued) : world;
        test::PseudoWeights source(test::tensors_of(config, stored), world.rank());
        Transformer transformer(config, plan, backend, ranks, source, options);
        transformer.load();
        EXPECT_EQ(transformer.released_bytes(), facts.released_bytes + facts.reload_bytes);
        std::size_t const loading = std::exchange(backend.most_held, backend.held);
        auto const requests = test::on_rank_0(world, requests_of(work));
        for (int batch = 0; batch < 2; ++batch) {
            static_cast<void>(generate(transformer, world, requests, {}));
        }
        EXPECT_EQ(backend.steps > 0, options.resident);
        facts.picture_bytes = 0;  // the requests hold the decoded tiles, not the backend
        EXPECT_EQ(std::max(loading, backend.most_held), facts.total());
        cache_decides |= facts.cache_bytes > facts.released_bytes + facts.reload_bytes;
        encoder_decides |= facts.cache_bytes < facts.released_bytes + facts.reload_bytes;
    }

    void check_all() {
        for (auto const* wish : {"shard", "split-batch", "vision.*=single:0"}) {
            for (std::size_t const text : {2U, 160U}) {
                SCOPED_TRACE(std::string(wish) + ", " + std::to_string(text) + " tokens");
                check(test::preset_plan(config, wish, world.size()), workload(text));
            }
        }
        EXPECT_TRUE(cache_decides);
        EXPECT_TRUE(encoder_decides || options.vision.keep || world.rank() != choosing_rank);
    }

    bool cache_decides = false, encoder_decides = false;  ///< in some case
    DType stored = DType::f32;                            ///< in the model file
    DecoderConfig config = test::vision_decoder();
    TransformerOptions options{
        .max_rows = 64, .max_logit_rows = 2, .vision = {.max_tiles = 3, .keep = false}};
};

TEST_F(PeakMemory, OfAnEncoderThatIsLoadedForEachBatch) { check_all(); }

TEST_F(PeakMemory, OfOneThatIsKept) {
    options.vision.keep = true;
    check_all();
}

TEST_F(PeakMemory, WithBf16Weights) {
    stored = options.compute = DType::bf16;
    check_all();
}

/// They are quantised again whenever the encoder is loaded again.
TEST_F(PeakMemory, WithFp8Weights) {
    stored = DType::bf16;
    options.weights = WeightFormat::fp8;
    check_all();
}

/// What decodes on the device keeps more than keys and values.
TEST_F(PeakMemory, WhereDecodingIsResident) {
    options.resident = true;
    check_all();
}

}  // namespace
}  // namespace tesserank::model
