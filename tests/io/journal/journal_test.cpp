#include "io/journal/journal.hpp"

#include "io/journal/running_hash.hpp"
#include "kernels/error.hpp"
#include "tests/io/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace tesserank::io {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

RunIdentity identity() { return {.bound = {{"input", "abc"}}, .loose = {{"ranks", "3"}}}; }

RunProgress after(std::size_t batches) {
    return {.batches = batches,
            .lines = 16 * batches,
            .results = 15 * batches,
            .errors = 1,
            .output_bytes = 1000 * batches,
            .output_hash = "0123456789abcdef0123456789abcdef"};
}

/// A journal of two batches.
std::string write_journal(TemporaryFolder const& folder) {
    Journal journal(folder.path("out.journal"), identity());
    journal.append(after(1));
    journal.append(after(2));
    return folder.path("out.journal");
}

TEST(Journal, SaysWhatTheRunIsAboutAndHowFarItCame) {
    TemporaryFolder const folder;
    auto const content = read_journal(write_journal(folder));
    ASSERT_TRUE(content);
    EXPECT_EQ(content->identity.bound, identity().bound);
    EXPECT_EQ(content->identity.loose, identity().loose);
    EXPECT_EQ(content->progress, after(2));
    EXPECT_EQ(content->bytes, folder.read("out.journal").size());
}

TEST(Journal, IsMadeAnewWhenSomebodyHasRemovedIt) {
    TemporaryFolder const folder;
    auto const path = folder.path("out.journal");
    Journal journal(path, identity());
    journal.append(after(1));
    std::filesystem::remove(path);
    journal.append(after(2));
    journal.append(after(3));
    auto const content = read_journal(path);
    ASSERT_TRUE(content);
    EXPECT_EQ(content->identity.bound, identity().bound);
    EXPECT_EQ(content->progress, after(3));
}

/// A run that took it for one of no progress would cut off the results that it has.
TEST(Journal, MadeAnewAndCutOffNeverHidesHowFarTheRunCame) {
    TemporaryFolder const folder;
    auto const path = folder.path("out.journal");
    {
        Journal journal(path, identity());
        std::filesystem::remove(path);
        journal.append(after(2));
    }
    auto const whole = folder.read("out.journal");
    for (std::size_t bytes = 0; bytes <= whole.size(); ++bytes) {
        folder.write("out.journal", whole.substr(0, bytes));
        auto const content = read_journal(path);
        ASSERT_EQ(content.has_value(), bytes == whole.size()) << bytes;
        if (content) {
            EXPECT_EQ(content->progress, after(2));
        }
    }
}

TEST(Journal, IsNotThereBeforeItIsMade) {
    TemporaryFolder const folder;
    EXPECT_FALSE(read_journal(folder.path("out.journal")));
}

/// Whatever byte the run was killed at, what was said whole before counts, and no more.
TEST(Journal, CutOffAnywhereIsReadUpToItsLastWholeLine) {
    TemporaryFolder const folder;
    auto const path = write_journal(folder);
    auto const whole = folder.read("out.journal");
    auto const first = whole.find('\n') + 1, second = whole.find('\n', first) + 1;
    for (std::size_t bytes = 0; bytes <= whole.size(); ++bytes) {
        folder.write("out.journal", whole.substr(0, bytes));
        auto const content = read_journal(path);
        ASSERT_EQ(content.has_value(), bytes >= first) << bytes;
        if (!content) continue;
        std::size_t const batches = bytes < second ? 0 : bytes < whole.size() ? 1 : 2;
        ASSERT_EQ(content->progress, batches == 0 ? RunProgress{} : after(batches)) << bytes;
        Journal(path, *content).append(after(7));
        ASSERT_EQ(read_journal(path)->progress, after(7)) << bytes;
    }
}

TEST(Journal, DamageBeforeItsEndIsRefused) {
    TemporaryFolder const folder;
    auto const path = write_journal(folder);
    auto text = folder.read("out.journal");
    text[text.find("\"batches\"") + 11] = '3';
    folder.write("out.journal", text);
    EXPECT_THAT([&] { read_journal(path); },
                ThrowsMessage<kernels::InputError>(
                    AllOf(HasSubstr("out.journal: line 2 is damaged"), HasSubstr("--resume no"))));
}

TEST(Journal, FolderInItsPlaceIsRefused) {
    TemporaryFolder const folder;
    EXPECT_THAT([&] { read_journal(folder.path("")); },
                ThrowsMessage<kernels::InputError>(HasSubstr("expected the journal of a run")));
}

TEST(Journal, ANewOneTakesThePlaceOfAnOldOne) {
    TemporaryFolder const folder;
    auto const path = write_journal(folder);
    RunIdentity const other{.bound = {{"input", "def"}}, .loose = {}};
    { Journal const journal(path, other); }
    EXPECT_EQ(read_journal(path)->identity.bound, other.bound);
    EXPECT_EQ(read_journal(path)->progress, RunProgress{});
}

TEST(Journal, IsGoneWhenItIsRemoved) {
    TemporaryFolder const folder;
    auto const path = write_journal(folder);
    Journal(path, *read_journal(path)).remove();
    EXPECT_FALSE(folder.has("out.journal"));
}

TEST(RunIdentity, DifferenceNamesEachFactThatIsNotTheSame) {
    RunIdentity::Facts const was{{"a", "1"}, {"b", "2"}, {"c", "3"}};
    RunIdentity::Facts const now{{"a", "1"}, {"b", "5"}, {"d", "4"}};
    EXPECT_EQ(difference(was, was), "");
    EXPECT_EQ(difference(was, now),
              "b: found 5, was 2; d: found 4, was not said; c: found not said, was 3");
}

TEST(RunningHash, TellsTheSameOfAFileAsOfItsPieces) {
    TemporaryFolder const folder;
    std::string const text(10'000'000, 'x');
    folder.write("file", text + "more");
    RunningHash hash;
    hash.append(text.substr(0, 77));
    hash.append(text.substr(77));
    EXPECT_EQ(hash_of_file(folder.path("file"), text.size()).digest(), hash.digest());
    hash.append("more");
    EXPECT_EQ(hash_of_file(folder.path("file"), text.size() + 4).digest(), hash.digest());
    // Of nothing: the digest of the specification.
    EXPECT_EQ(RunningHash().digest(), "99aa06d3014798d86001c324468d497f");
}

}  // namespace
}  // namespace tesserank::io
