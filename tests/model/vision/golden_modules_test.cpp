#include "kernels/error.hpp"
#include "model/norm.hpp"
#include "model/row_layout.hpp"
#include "model/vision/patch_embedding.hpp"
#include "model/vision/projector.hpp"
#include "model/vision/vision_attention.hpp"
#include "model/vision/vision_mlp.hpp"
#include "model/vision/vision_plan.hpp"
#include "tests/model/vision/golden_vision.hpp"
#include "tests/support/mpi_test.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tesserank::model {
namespace {

using kernels::DType;
using kernels::TensorView;
using parallel::Partition;

/// Of the largest element. Two ways of attention of the reference differ by 1e-6 of it in a module.
constexpr double tolerance = 1e-5;

/// Each module of the first block on the first tile of a picture, fed with what the reference fed
/// it, under every placement.
class GoldenModules : public test::MpiTest, public ::testing::WithParamInterface<char const*> {
  protected:
    GoldenModules() {
        std::size_t const rows = config.rows_per_tile();
        segment = {.tokens = rows};
    }

    std::vector<float> hidden(std::string const& name) const {
        return vision.expected.floats("vision/hidden_image1/" + name);
    }
    static TensorView view(std::vector<float>& values, std::size_t cols) {
        return kernels::view_of(values.data(), values.size() / cols, cols);
    }

    using Run = std::function<parallel::AnyActivation(
        VisionContext&, parallel::AnyActivation const&, Partition const& deal, TensorView whole)>;

    /// Runs a module on x [T, K], which every rank has; `wanted` must come out on all ranks.
    void expect_golden(Placement placement, std::vector<float> x, std::size_t width, Run const& run,
                       std::vector<float> const& wanted, std::size_t wanted_width) {
        auto const deal = one_tile(x.size() / width);
        auto const input =
            parallel::part_of(view(x, width), layout_for(input_of(placement), deal), world.rank());
        Workspace workspace(*backend, 1 << 20);
        bool const mine = deal.count(world.rank()) > 0;
        kernels::DeviceSpan<kernels::Segment const> const all{&segment, 1};
        kernels::Segments const segments{
            .list = all, .longest = segment.tokens, .context = segment.tokens};
        auto own = segments;
        own.list = all.from(0, mine ? 1 : 0);
        VisionContext context{*backend,   workspace, redistribute, DType::f32,
                              DType::f32, segments,  own};
        std::vector<float> y(wanted.size(), NAN), pieces(wanted.size());
        auto const whole = view(y, wanted_width);
        redistribute(run(context, input, one_tile(whole.rows), whole), parallel::Replicated{},
                     {.whole = whole, .pieces = view(pieces, wanted_width)});
        EXPECT_LE(test::largest_error(y, wanted), tolerance * test::largest(wanted));
    }

    /// The rows of a single tile belong to one rank: the last, so that others have none.
    Partition one_tile(std::size_t rows) const {
        std::vector<std::size_t> shares(static_cast<std::size_t>(world.size()), 0);
        shares.back() = rows;
        return Partition::of_shares(shares);
    }

    void for_each_placement(std::string const& module,
                            std::function<void(Placement, ModuleSpec const&)> const& check) {
        for (auto const* word : {"shard", "replicate", "split-batch", "single:0"}) {
            SCOPED_TRACE(word);
            check(*placement_from_name(word), find_module(modules, module));
        }
    }

    static Run module_run(Module<VisionContext> const& module, Placement placement, int rank) {
        return [&module, placement, rank](VisionContext& context, parallel::AnyActivation const& x,
                                          Partition const& deal, TensorView whole) {
            auto const place =
                parallel::part_of(whole, layout_for(input_of(placement), deal), rank);
            return module.forward(context, x, parallel::local_of(place));
        };
    }

    /// A norm of the block, which every rank has, of what the stream is there.
    std::vector<float> normed(std::string const& norm, std::vector<float> x) {
        auto store = make_store();
        auto const& spec = find_module(modules, norm);
        bool const rms = config.norm == VisionConfig::Norm::rms;
        Norm const apply{.kind = rms ? Norm::Kind::rms : Norm::Kind::layer,
                         .weight = store.add(spec, Role::norm, Placement::replicate),
                         .bias = store.add(spec, Role::norm_bias, Placement::replicate),
                         .eps = config.norm_eps};
        store.load();
        apply(*backend, view(x, config.hidden), view(x, config.hidden));
        return x;
    }

    WeightStore make_store() { return {*backend, golden, world.rank(), world.size()}; }

    test::GoldenModel golden{GetParam(), world.rank()};
    test::GoldenVision vision{golden};
    VisionConfig const& config = *golden.config.vision;
    std::vector<ModuleSpec> modules = describe_vision(golden.config);
    std::unique_ptr<kernels::Backend> backend = kernels::make_reference_backend();
    parallel::Redistributor redistribute{*backend, world};
    kernels::Segment segment;
};

TEST_P(GoldenModules, EmbedPatches) {
    std::size_t const pixels = config.side * config.side;
    auto values = vision.expected.floats("vision/image1/pixel_values");
    values.resize(config.channels * pixels);
    std::size_t const width = config.channels * config.patch * config.patch;
    std::vector<float> patches(config.patches() * width);
    backend->cut_patches(view(values, pixels),
                         {.height = config.side, .width = config.side, .patch = config.patch},
                         view(patches, width));
    for_each_placement("vision.embedding", [&](Placement placement, ModuleSpec const& spec) {
        auto store = make_store();
        PlacementPlan plan{.ranks = world.size(), .placements = {}, .streams = {}};
        plan.placements[spec.name] = placement;
        PatchEmbedding embedding(config, spec, plan, world.rank(), *backend, store);
        store.load();
        embedding.fit_positions(*backend);
        expect_golden(
            placement, patches, width,
            [&](VisionContext& context, parallel::AnyActivation const& x, Partition const& deal,
                TensorView whole) {
                return embedding.forward(context, parallel::local_of(x),
                                         layout_for(input_of(placement), deal), whole);
            },
            hidden("embeddings"), config.hidden);
    });
}

TEST_P(GoldenModules, AttendWithinATile) {
    auto const x = normed("vision.layers.0.attention_norm", hidden("embeddings"));
    for_each_placement("vision.layers.0.attention", [&](Placement placement,
                                                        ModuleSpec const& spec) {
        auto store = make_store();
        auto const heads = units_of(config.heads, placement, world.rank(), world.size()).count;
        auto const attention = make_vision_attention(config, spec, placement, heads, store);
        store.load();
        expect_golden(placement, x, config.hidden, module_run(*attention, placement, world.rank()),
                      hidden("layer0/attn_out"), config.hidden);
    });
}

TEST_P(GoldenModules, RunTheMlp) {
    auto stream = hidden("embeddings"), attended = hidden("layer0/attn_out");
    auto scales = make_store();
    auto const scale = scales.add(find_module(modules, "vision.layers.0.attention_norm"),
                                  Role::scale, Placement::replicate);
    scales.load();
    backend->add_scaled(view(stream, config.hidden), view(attended, config.hidden), scale);
    auto const x = normed("vision.layers.0.mlp_norm", stream);
    for_each_placement("vision.layers.0.mlp", [&](Placement placement, ModuleSpec const& spec) {
        auto store = make_store();
        auto const mlp = make_vision_mlp(config, spec, placement, store);
        store.load();
        expect_golden(placement, x, config.hidden, module_run(*mlp, placement, world.rank()),
                      hidden("layer0/mlp_out"), config.hidden);
    });
}

TEST_P(GoldenModules, ProjectFeatures) {
    for_each_placement("vision.projector", [&](Placement placement, ModuleSpec const& spec) {
        auto store = make_store();
        auto const projector = make_projector(config, spec, placement, store);
        store.load();
        expect_golden(placement, hidden("pixel_shuffle_out"), config.shuffled(),
                      module_run(*projector, placement, world.rank()), hidden("projector_out"),
                      config.features);
    });
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenModules, ::testing::ValuesIn(test::golden_vision_cases),
                         [](auto const& param) { return test::case_name(param.param); });

}  // namespace
}  // namespace tesserank::model
