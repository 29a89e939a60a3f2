#include "app/bench_options.hpp"

#include "app/usage_error.hpp"
#include "kernels/error.hpp"
#include "tests/io/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tesserank::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

BenchOptions parse(std::vector<std::string> const& more) {
    std::vector<std::string> words{"config.json"};
    words.insert(words.end(), more.begin(), more.end());
    return parse_bench_options(words, false).value();
}

void expect_refused(std::vector<std::string> const& more, std::string const& message) {
    EXPECT_THAT([&] { parse(more); }, ThrowsMessage<UsageError>(HasSubstr(message)));
}

TEST(BenchOptions, MeasureTilesInsteadOfBatchesUnlessBothAreAskedFor) {
    auto const tiles = parse({"--tiles", "1,16"});
    EXPECT_THAT(tiles.tiles, ElementsAre(1U, 16U));
    EXPECT_TRUE(tiles.batches.empty());
    auto const both = parse({"--tiles", "2", "--batch", "3"});
    EXPECT_THAT(both.tiles, ElementsAre(2U));
    EXPECT_THAT(both.batches, ElementsAre(3U));
    EXPECT_TRUE(parse({}).tiles.empty());
    expect_refused({"--tiles", "0"}, "--tiles is \"0\"");
}

TEST(BenchOptions, AreReadAndOtherwiseHaveDefaults) {
    auto const options =
        parse({"--placement", "shard", "--placement=*.mlp=replicate", "--batch", "1,32,8", "--new",
               "7", "--warmup", "0", "--dtype", "bf16", "--weights", "fp8"});
    EXPECT_THAT(options.placements, ElementsAre("shard", "*.mlp=replicate"));
    EXPECT_THAT(options.batches, ElementsAre(1U, 32U, 8U));
    EXPECT_EQ(options.new_tokens, 7U);
    EXPECT_EQ(options.warmup, 0U);
    EXPECT_EQ(options.dtype, "bf16");
    EXPECT_EQ(options.weights, "fp8");
    auto const plain = parse({});
    EXPECT_EQ(plain.model, "config.json");
    EXPECT_THAT(plain.placements, ElementsAre("shard"));
    EXPECT_THAT(plain.batches, ElementsAre(1U, 8U));
    EXPECT_EQ(plain.prompt, 128U);
    EXPECT_EQ(plain.repeat, 5U);
    EXPECT_TRUE(plain.json.empty());
}

TEST(BenchOptions, RefuseAListThatIsNone) {
    for (auto const* list : {"", "1,", ",1", "1,,2", "0", "-1", "1;2", "70000", "1 ", "x"}) {
        expect_refused({"--batch", list}, "--batch is \"" + std::string(list) + "\"");
    }
}

TEST(BenchOptions, RefuseNumbersAndWordsOutOfRange) {
    expect_refused({"--prompt", "0"}, "--prompt is 0, expected an integer from 1 to 2^24");
    expect_refused({"--new", "-3"}, "--new is -3");
    expect_refused({"--repeat", "0"}, "--repeat is 0, expected an integer from 1 to 1000");
    expect_refused({"--warmup", "1001"}, "--warmup is 1001");
    expect_refused({"--dtype", "f16"}, "--dtype is \"f16\", expected auto, f32 or bf16");
    expect_refused({"--weights", "int4"}, "--weights is \"int4\", expected file or fp8");
    expect_refused({"--placement", "auto"}, "plans that are given");
    expect_refused({"--backend", "tpu"}, "--backend is \"tpu\"");
    expect_refused({"--comm", "gloo"}, "--comm is \"gloo\"");
    expect_refused({"--ranks", "2"}, "--ranks");
}

TEST(BenchOptions, RefuseToReplaceTheModelOrAPlan) {
    io::TemporaryFolder const folder;
    auto const config = folder.write("config.json", "{}"), plan = folder.write("plan.json", "{}");
    BenchOptions options;
    options.model = config;
    options.placements = {"shard", plan, plan};
    options.json = folder.path("out.json");
    EXPECT_NO_THROW(check_paths(options));
    options.json = plan;
    EXPECT_THAT([&] { check_paths(options); },
                ThrowsMessage<kernels::InputError>(HasSubstr("--placement and --json")));
    options.json = config;
    EXPECT_THAT([&] { check_paths(options); },
                ThrowsMessage<kernels::InputError>(HasSubstr("the model and --json")));
    options.model = folder.path("");
    EXPECT_THAT([&] { check_paths(options); },
                ThrowsMessage<kernels::InputError>(HasSubstr("the model's config and --json")));
}

}  // namespace
}  // namespace tesserank::app
