#include "io/requests/merge_results.hpp"

#include "kernels/error.hpp"
#include "tests/io/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tesserank::io {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

MergedResults merge(TemporaryFolder const& folder, std::vector<std::string> const& parts) {
    OutputFile output(folder.path("all"));
    auto const merged = merge_results(parts, output);
    output.commit();
    return merged;
}

TEST(MergeResults, JoinsLinesAsTheyAre) {
    TemporaryFolder const folder;
    auto const one = folder.write("one", "{\"id\":  \"a\", \"text\": \"x\"}\n\n{\"id\": \"b\"}\n");
    auto const none = folder.write("none", "");
    auto const two =
        folder.write("two", "{\"id\": \"c\", \"error\": \"line 1: bad\"}\n{\"id\": null}");
    auto const merged = merge(folder, {one, none, two});
    EXPECT_EQ(merged.results, 4);
    EXPECT_EQ(merged.errors, 1);
    EXPECT_EQ(folder.read("all"),
              "{\"id\":  \"a\", \"text\": \"x\"}\n{\"id\": \"b\"}\n"
              "{\"id\": \"c\", \"error\": \"line 1: bad\"}\n{\"id\": null}\n");
}

TEST(MergeResults, RefusesAnIdThatComesTwice) {
    TemporaryFolder const folder;
    auto const one = folder.write("one", "{\"id\": \"a\"}\n{\"id\": \"b\"}\n");
    auto const two = folder.write("two", "{\"id\": \"c\"}\n{\"id\": \"b\"}\n");
    EXPECT_THAT(
        [&] {
            merge(folder, {one, two});
        },
        ThrowsMessage<kernels::InputError>(
            AllOf(HasSubstr("two: line 2: id \"b\" is that of result 2 already"))));
    EXPECT_FALSE(folder.has("all"));
}

TEST(MergeResults, TakesTheErrorOfARequestWhoseIdWasTaken) {
    TemporaryFolder const folder;
    auto const one =
        folder.write("one", "{\"id\": \"a\"}\n{\"id\": \"a\", \"error\": \"line 2: id\"}\n");
    auto const merged = merge(folder, {one});
    EXPECT_EQ(merged.results, 2);
    EXPECT_EQ(merged.errors, 1);
}

TEST(MergeResults, RefusesAFileWhoseRunIsNotOver) {
    TemporaryFolder const folder;
    auto const one = folder.write("one", "{\"id\": \"a\"}\n");
    folder.write("one.journal", "");
    EXPECT_THAT([&] { merge(folder, {one}); },
                ThrowsMessage<kernels::InputError>(HasSubstr("one: its run is not over")));
    EXPECT_THAT([&] { merge(folder, {folder.path("two")}); },
                ThrowsMessage<kernels::InputError>(HasSubstr("two")));
}

TEST(MergeResults, RefusesWhatIsNoResult) {
    TemporaryFolder const folder;
    for (auto const* text : {"{\"id\": \"a\"", "[1]", "{\"id\": 5}", "nonsense"}) {
        auto const part = folder.write("part", "{\"id\": \"x\"}\n" + std::string(text) + "\n");
        EXPECT_THAT([&] { merge(folder, {part}); },
                    ThrowsMessage<kernels::InputError>(HasSubstr("part: line 2")))
            << text;
    }
}

}  // namespace
}  // namespace tesserank::io
