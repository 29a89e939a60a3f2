#include "model/vision/vision_encoder.hpp"
#include "tests/model/vision/golden_vision.hpp"
#include "tests/support/mpi_test.hpp"
#include "tests/support/swallows_one.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <tuple>
#include <vector>

namespace tesserank::model {
namespace {

using kernels::DType;

/// The encoder adds the same terms in another order than the reference, whose own two ways of
/// attention differ by 1e-5 of the largest feature at most.
constexpr double tolerance = 3e-5;

using Case = std::tuple<char const*, char const*>;

class GoldenEncoder : public test::MpiTest, public ::testing::WithParamInterface<Case> {
  protected:
    /// All pictures' features, as this rank has them.
    std::vector<float> encode(std::string const& wish, TransformerOptions const& options,
                              std::size_t swallowed = test::SwallowsOne::none) {
        test::SwallowsOne ranks(world, swallowed);
        auto const plan = test::golden_plan(golden.config, wish, world.size());
        VisionEncoder encoder({golden.config, plan, *backend, ranks, golden, options});
        encoder.load();
        auto const tiles = test::GoldenVision::tiles_of(vision.pictures);
        std::size_t const count = tiles.size() * golden.config.vision->features_per_tile();
        auto const features = make_tensor(*backend, DType::f32, count, golden.config.hidden);
        bool const here = world.rank() == choosing_rank;
        encoder.encode(here ? tiles : std::vector<Tile>(), tiles.size(), features.view);
        calls = ranks.calls();
        std::vector<float> host(features.view.size());
        backend->copy_to_host(features.view.data, std::as_writable_bytes(std::span(host)));
        return host;
    }

    /// The largest error of a feature, as a part of the largest feature.
    double error_of(std::span<float const> found) const {
        std::vector<float> wanted;
        for (auto const& of_picture : vision.features) {
            wanted.insert(wanted.end(), of_picture.begin(), of_picture.end());
        }
        return test::largest_error(found, wanted) / test::largest(wanted);
    }

    test::GoldenModel golden{std::get<0>(GetParam()), world.rank()};
    test::GoldenVision vision{golden};
    std::unique_ptr<kernels::Backend> backend = std::string(std::get<1>(GetParam())) == "kokkos"
                                                    ? kernels::make_kokkos_backend()
                                                    : kernels::make_reference_backend();
    std::size_t calls = 0;
};

TEST_P(GoldenEncoder, GivesTheFeaturesUnderEveryPlacement) {
    for (auto const& wish : test::vision_wishes(world.size())) {
        SCOPED_TRACE(wish);
        EXPECT_LE(error_of(encode(wish, {})), tolerance);
    }
}

TEST_P(GoldenEncoder, GivesThemHoweverManyTilesAreEncodedAtOnce) {
    for (std::size_t const most : {1U, 2U, 5U}) {
        for (auto const* wish : {"shard", "vision.*=split-batch"}) {
            SCOPED_TRACE(std::string(wish) + ", " + std::to_string(most) + " tiles at once");
            EXPECT_LE(error_of(encode(wish, {.vision = {.max_tiles = most}})), tolerance);
        }
    }
}

std::string name_of_case(::testing::TestParamInfo<Case> const& param) {
    return test::case_name(std::string(std::get<0>(param.param)) + "_" + std::get<1>(param.param));
}
INSTANTIATE_TEST_SUITE_P(Cases, GoldenEncoder,
                         ::testing::Combine(::testing::ValuesIn(test::golden_vision_cases),
                                            ::testing::Values("reference", "kokkos")),
                         name_of_case);

/// Without any one of its redistributions a plan must give other features on some rank.
class EncoderWithoutOneCollective : public GoldenEncoder {};

TEST_P(EncoderWithoutOneCollective, IsNotRight) {
    for (auto const& wish : test::vision_wishes(world.size())) {
        SCOPED_TRACE(wish);
        static_cast<void>(encode(wish, {}));
        std::size_t const count = calls;
        for (std::size_t swallowed = 0; swallowed < count; ++swallowed) {
            bool const good = error_of(encode(wish, {}, swallowed)) <= tolerance;
            EXPECT_LT(world.all_sum(good ? 1 : 0), world.size()) << "without " << swallowed;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Cases, EncoderWithoutOneCollective,
                         ::testing::Values(Case{"internvl-orig-25heads-bf16", "kokkos"},
                                           Case{"internvl-hf", "kokkos"}),
                         name_of_case);

}  // namespace
}  // namespace tesserank::model
