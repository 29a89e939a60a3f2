#include "app/run_options.hpp"

#include "app/usage_error.hpp"
#include "kernels/error.hpp"
#include "tests/io/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

namespace tesserank::app {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

RunOptions parse(std::vector<std::string> const& more) {
    std::vector<std::string> words{"m.h5", "--input", "in", "--output", "out"};
    words.insert(words.end(), more.begin(), more.end());
    return parse_run_options("generate", words, false).value();
}

void expect_refused(std::vector<std::string> const& more, std::string const& message) {
    EXPECT_THAT([&] { parse(more); }, ThrowsMessage<UsageError>(HasSubstr(message)));
}

TEST(RunOptions, AreReadAndOtherwiseHaveDefaults) {
    auto const options =
        parse({"--batch", "3", "--seed=7", "--dtype", "bf16", "--prefill-chunk=9", "-q"});
    EXPECT_EQ(options.model, "m.h5");
    EXPECT_EQ(options.input, "in");
    EXPECT_EQ(options.batch, 3U);
    EXPECT_EQ(options.seed, 7U);
    EXPECT_EQ(options.dtype, "bf16");
    EXPECT_EQ(options.prefill_chunk, 9U);
    EXPECT_TRUE(options.quiet);
    EXPECT_FALSE(options.log_json);
    EXPECT_EQ(options.max_length, std::nullopt);
    EXPECT_EQ(parse({}).seed, 0U);
    EXPECT_EQ(parse({}).prefill_chunk, 512U);
}

TEST(RunOptions, LeaveSumsWithinKernelsToWhoAsksForThem) {
    EXPECT_EQ(parse({}).fused.use, "no");
    EXPECT_EQ(parse({}).fused.limit, std::nullopt);
    auto const fused = parse({"--fused-all-reduce", "auto", "--fused-limit=64K"}).fused;
    EXPECT_EQ(fused.use, "auto");
    EXPECT_EQ(fused.limit, 65536U);
    expect_refused({"--fused-all-reduce", "maybe"}, "--fused-all-reduce is \"maybe\", expected");
    expect_refused({"--fused-limit", "much"}, "--fused-limit is \"much\"");
}

TEST(RunOptions, SayHowRanksAreWatched) {
    auto const usual = parse({}).watch;
    EXPECT_EQ(usual.collective_timeout, 120U);
    EXPECT_EQ(usual.collective_log, "out.collectives.txt");
    EXPECT_FALSE(usual.check_collectives);
    EXPECT_GT(usual.queue_seconds(), 120.0) << "the watchdog speaks first";
    auto const own =
        parse({"--collective-timeout=0", "--collective-log", "x", "--check-collectives"}).watch;
    EXPECT_EQ(own.collective_timeout, 0U);
    EXPECT_EQ(own.collective_log, "x");
    EXPECT_TRUE(own.check_collectives);
    EXPECT_GT(own.queue_seconds(), 1e9) << "for ever";
    std::vector<std::string> const to_stdout{"m.h5", "--input", "in", "--output", "-"};
    EXPECT_EQ(parse_run_options("generate", to_stdout, false)->watch.collective_log,
              "tesserank.collectives.txt");
    expect_refused({"--collective-timeout=-1"},
                   "--collective-timeout is -1, expected an integer from 0 to 2^31");
}

TEST(RunOptions, SayHowWeightsAreLoaded) {
    EXPECT_EQ(parse({}).load, "cooperative");
    EXPECT_EQ(parse({"--load", "direct"}).load, "direct");
    expect_refused({"--load", "fast"}, "--load is \"fast\", expected auto, cooperative or direct");
}

TEST(RunOptions, SayHowWeightsAreHeld) {
    EXPECT_EQ(parse({}).weights, "file");
    EXPECT_EQ(parse({"--weights", "fp8"}).weights, "fp8");
    expect_refused({"--weights", "int4"}, "--weights is \"int4\", expected file or fp8");
}

TEST(RunOptions, SayWhetherTheVisionEncoderStays) {
    EXPECT_EQ(parse({}).keep_vision, "auto");
    EXPECT_EQ(parse({"--keep-vision", "no", "--vision-chunk", "4"}).keep_vision, "no");
    EXPECT_EQ(parse({"--vision-chunk", "4"}).vision_chunk, 4U);
    expect_refused({"--vision-chunk", "65537"},
                   "--vision-chunk is 65537, expected an integer from 1 to 65536");
    expect_refused({"--keep-vision", "maybe"},
                   "--keep-vision is \"maybe\", expected auto, yes or no");
}

TEST(RunOptions, BoundWhatPicturesCost) {
    auto const options = parse({"--max-tiles", "6", "--max-image-pixels=1000", "--max-image-bytes",
                                "2M", "--image-token=0", "--image-features", "f.h5"});
    EXPECT_EQ(options.max_tiles, 6U);
    EXPECT_EQ(options.max_image_pixels, 1000U);
    EXPECT_EQ(options.max_image_bytes, 2U << 20U);
    EXPECT_EQ(options.image_token, 0U);
    EXPECT_EQ(options.image_features, "f.h5");
    EXPECT_EQ(parse({}).max_tiles, std::nullopt);
    expect_refused({"--max-tiles", "0"}, "--max-tiles is 0, expected an integer from 1 to 2^31");
    expect_refused({"--image-token", "-1"}, "--image-token is -1, expected an integer from 0 to");
}

TEST(RunOptions, KnowWhetherAPlacementIsGiven) {
    EXPECT_FALSE(parse({}).placement_given);
    EXPECT_EQ(parse({}).placement, "shard");
    EXPECT_TRUE(parse({"--placement", "shard"}).placement_given);
}

TEST(RunOptions, AreNotGuessedFromTheirBeginning) { expect_refused({"--max-l", "9"}, "--max-l"); }

TEST(RunOptions, RefuseNumbersOutOfRange) {
    expect_refused({"--seed", "-1"}, "--seed is -1, expected an integer from 0 to 2^63 - 1");
    expect_refused({"--batch", "0"}, "--batch is 0, expected an integer from 1 to 2^31");
    expect_refused({"--max-length", "2147483649"}, "--max-length is 2147483649");
    expect_refused({"--prefill-chunk", "many"}, "many");
}

TEST(RunOptions, NeedAModelAnInputAndAnOutput) {
    auto const refusal = [](std::vector<std::string> const& words, std::string const& message) {
        EXPECT_THAT([&] { parse_run_options("score", words, false); },
                    ThrowsMessage<UsageError>(HasSubstr(message)));
    };
    refusal({"--input", "in", "--output", "out"}, "MODEL.h5 is missing; usage: tesserank score");
    refusal({"m.h5", "--output", "out"}, "--input is missing");
    refusal({"m.h5", "--input", "in"}, "--output is missing");
}

RunOptions with_files(std::string const& input, std::string const& output,
                      std::string const& logits = "") {
    RunOptions options;
    options.model = "m.h5";
    options.input = input;
    options.output = output;
    options.logits = logits;
    return options;
}

void expect_clash(RunOptions const& options, std::string const& names) {
    EXPECT_THAT([&] { check_paths(options); },
                ThrowsMessage<kernels::InputError>(HasSubstr(names + " are the same file: ")));
}

TEST(CheckPaths, RefusesAFileThatIsTwoThings) {
    expect_clash(with_files("a", "a"), "--input and --output");
    expect_clash(with_files("a", "b/../a"), "--input and --output");
    expect_clash(with_files("a", "m.h5"), "the model and --output");
    expect_clash(with_files("a", "b", "b"), "--output and --logits");
    auto features = with_files("a", "b");
    features.image_features = "b";
    expect_clash(features, "--output and --image-features");
    expect_clash(with_files("b.partial", "b"), "--input and --output while it is written");
    expect_clash(with_files("a", "b", "b.partial"), "--output while it is written and --logits");
}

TEST(CheckPaths, KeepsTheFilesOfASet) {
    io::TemporaryFolder const folder;
    std::filesystem::create_directory(folder.path("set"));
    static_cast<void>(folder.write("set/set.json", "{}"));
    auto options = with_files("a", folder.write("set/rank0.h5", "x"));
    options.model = folder.path("set");
    EXPECT_THAT([&] { check_paths(options); },
                ThrowsMessage<kernels::InputError>(HasSubstr("--output is in the folder")));
}

TEST(CheckPaths, FollowsLinks) {
    io::TemporaryFolder const folder;
    auto const file = folder.write("in", "x");
    std::filesystem::create_symlink(file, folder.path("symbolic"));
    std::filesystem::create_hard_link(file, folder.path("hard"));
    expect_clash(with_files(file, folder.path("symbolic")), "--input and --output");
    expect_clash(with_files(file, folder.path("hard")), "--input and --output");
}

TEST(CheckPaths, FollowsLinksToWhatIsNotThereYet) {
    io::TemporaryFolder const folder;
    std::filesystem::create_symlink("out", folder.path("link"));
    expect_clash(with_files("in", folder.path("link"), folder.path("out")),
                 "--output and --logits");
    expect_clash(with_files(folder.write("out.partial", "x"), folder.path("link")),
                 "--input and --output while it is written");
}

TEST(CheckPaths, LetsADeviceBeSeveralThings) {
    EXPECT_NO_THROW(check_paths(with_files("/dev/null", "/dev/null")));
    EXPECT_NO_THROW(check_paths(with_files("-", "-")));
    EXPECT_NO_THROW(check_paths(with_files("a", "b", "c")));
}

TEST(RunOptions, AskForAMachineOnlyWhereAPlanIsSearched) {
    EXPECT_EQ(parse({"--placement", "auto", "--machine", "m.json", "--prompt=9"}).prompt, 9U);
    expect_refused({"--machine", "m.json"}, "--placement auto");
    expect_refused({"--prompt", "9"}, "--placement auto");
    expect_refused({"--memory-limit", "7Q"}, "--memory-limit");
    EXPECT_EQ(parse({"--memory-limit", "3GiB"}).memory_limit, std::size_t{3} << 30);
}

}  // namespace
}  // namespace tesserank::app
