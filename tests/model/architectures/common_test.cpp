#include "model/architectures/common.hpp"

#include "model/architecture.hpp"
#include "tests/model/support_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

namespace tesserank::model {
namespace {

using test::input_error_of;
using test::json;
using test::Object;
using test::tiny_config;
using test::with;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::array mixed{"full_attention", "sliding_attention", "full_attention",
                           "sliding_attention"};

std::vector<std::size_t> windows_of(Object const& config) {
    return describe_model(json(config)).windows;
}
std::string refusal(Object const& config) {
    return input_error_of([&] { describe_model(json(config)); });
}

TEST(Context, MustBeGivenByAllButLlama) {
    for (auto const* family : {"mistral", "qwen2", "qwen3"}) {
        EXPECT_THAT(refusal(test::without(tiny_config(family), "max_position_embeddings")),
                    HasSubstr("max_position_embeddings is missing"));
    }
}

TEST(Layers, AreNotMoreThanAnyModelHas) {
    auto const config = tiny_config("llama");
    EXPECT_EQ(windows_of(with(config, {{"num_hidden_layers", 10000}})).size(), 10000);
    EXPECT_THAT(refusal(with(config, {{"num_hidden_layers", 10001}})),
                HasSubstr("num_hidden_layers is 10001, expected at most 10000"));
}

TEST(Windows, AreTheSameInEveryLayerOfMistral) {
    auto const mistral = tiny_config("mistral");
    EXPECT_THAT(windows_of(with(mistral, {{"sliding_window", 8}})), ElementsAre(8, 8, 8, 8));
    EXPECT_THAT(windows_of(with(mistral, {{"sliding_window", nullptr}})), ElementsAre(0, 0, 0, 0));
    EXPECT_THAT(windows_of(mistral), ElementsAre(0, 0, 0, 0));
}

TEST(Windows, FollowTheLayerTypesOfMistral) {
    auto const config =
        with(tiny_config("mistral"), {{"sliding_window", 8}, {"layer_types", mixed}});
    EXPECT_THAT(windows_of(config), ElementsAre(0, 8, 0, 8));
}

class LayeredWindows : public ::testing::TestWithParam<char const*> {
  protected:
    Object const base = tiny_config(GetParam());
};

TEST_P(LayeredWindows, StandInTheLayersFromMaxWindowLayersOn) {
    auto const config = with(base, {{"sliding_window", 8}, {"max_window_layers", 3}});
    EXPECT_THAT(windows_of(with(config, {{"use_sliding_window", true}})), ElementsAre(0, 0, 0, 8));
    EXPECT_THAT(windows_of(with(config, {{"use_sliding_window", false}})), ElementsAre(0, 0, 0, 0));
    EXPECT_THAT(windows_of(config), ElementsAre(0, 0, 0, 0));
}

TEST_P(LayeredWindows, StandInEveryLayerWhenMaxWindowLayersIsZero) {
    EXPECT_THAT(
        windows_of(with(
            base, {{"sliding_window", 8}, {"max_window_layers", 0}, {"use_sliding_window", true}})),
        ElementsAre(8, 8, 8, 8));
}

// transformers takes 28 for a max_window_layers that is not given.
TEST_P(LayeredWindows, StandInNoneOfTheFirst28LayersWhenMaxWindowLayersIsAbsent) {
    auto const config = with(
        base, {{"sliding_window", 8}, {"use_sliding_window", true}, {"num_hidden_layers", 30}});
    auto const windows = windows_of(config);
    ASSERT_EQ(windows.size(), 30);
    EXPECT_EQ(windows[27], 0);
    EXPECT_EQ(windows[28], 8);
}

TEST_P(LayeredWindows, FollowTheLayerTypes) {
    auto const config = with(base, {{"sliding_window", 8},
                                    {"max_window_layers", 28},
                                    {"use_sliding_window", true},
                                    {"layer_types", mixed}});
    EXPECT_THAT(windows_of(config), ElementsAre(0, 8, 0, 8));
}

TEST_P(LayeredWindows, NeedASlidingWindow) {
    EXPECT_THAT(refusal(with(base, {{"sliding_window", nullptr},
                                    {"max_window_layers", 3},
                                    {"use_sliding_window", true}})),
                HasSubstr("sliding_window is missing"));
    EXPECT_THAT(refusal(with(base, {{"layer_types", mixed}})),
                HasSubstr("sliding_window is missing"));
}

INSTANTIATE_TEST_SUITE_P(Families, LayeredWindows, ::testing::Values("qwen2", "qwen3"),
                         [](auto const& param) { return std::string(param.param); });

TEST(LayerTypes, MustBeKnownAndOnePerLayer) {
    auto const base = with(tiny_config("qwen3"), {{"sliding_window", 8}});
    EXPECT_THAT(refusal(with(base, {{"layer_types", std::array{"full_attention"}}})),
                AllOf(HasSubstr("layer_types"), HasSubstr("1 entries for 4 layers")));
    auto odd = mixed;
    odd[2] = "chunked_attention";
    EXPECT_THAT(refusal(with(base, {{"layer_types", odd}})),
                AllOf(HasSubstr("layer_types"), HasSubstr("\"chunked_attention\"")));
}

TEST(LayerTypes, OfMistralNeedASlidingWindowToo) {
    EXPECT_THAT(refusal(with(tiny_config("mistral"), {{"layer_types", mixed}})),
                HasSubstr("sliding_window"));
}

}  // namespace
}  // namespace tesserank::model
