#include "io/requests/output_file.hpp"

#include "kernels/error.hpp"
#include "tests/io/temporary_folder.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace tesserank::io {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(OutputFile, AppearsWhenCommitted) {
    TemporaryFolder const folder;
    {
        OutputFile file(folder.path("out"));
        file.write("one\n");
        EXPECT_TRUE(folder.has("out.partial"));
        EXPECT_FALSE(folder.has("out"));
        file.commit();
    }
    EXPECT_EQ(folder.read("out"), "one\n");
    EXPECT_FALSE(folder.has("out.partial"));
}

TEST(OutputFile, LeavesTheOldFileWhenNotCommitted) {
    TemporaryFolder const folder;
    folder.write("out", "old");
    { OutputFile(folder.path("out")).write("new"); }
    EXPECT_EQ(folder.read("out"), "old");
    EXPECT_FALSE(folder.has("out.partial"));
}

TEST(OutputFile, WhatWasMadeDurableStaysAndCanBeContinued) {
    TemporaryFolder const folder;
    {
        OutputFile file(folder.path("out"));
        file.write("one\n");
        file.make_durable();
        EXPECT_EQ(folder.read("out.partial"), "one\n");
        file.write("half of two");
    }
    EXPECT_FALSE(folder.has("out"));
    {
        OutputFile file(folder.path("out"), 4);
        EXPECT_EQ(file.bytes(), 4);
        file.write("two\n");
        EXPECT_EQ(file.bytes(), 8);
        file.commit();
    }
    EXPECT_EQ(folder.read("out"), "one\ntwo\n");
    EXPECT_FALSE(folder.has("out.partial"));
}

TEST(OutputFile, KeepsNoMoreThanIsThere) {
    TemporaryFolder const folder;
    folder.write("out.partial", "one");
    EXPECT_THAT([&] { OutputFile(folder.path("out"), 4); },
                ThrowsMessage<kernels::InputError>(
                    HasSubstr("out.partial: has 3 bytes, expected at least 4")));
    EXPECT_EQ(folder.read("out.partial"), "one");
}

TEST(OutputFile, MovedFromRemovesNothing) {
    TemporaryFolder const folder;
    OutputFile first(folder.path("out"));
    auto second = std::move(first);
    second.write("x");
    second.commit();
    EXPECT_EQ(folder.read("out"), "x");
}

TEST(OutputFile, MissingFolderIsRefusedAtOnce) {
    TemporaryFolder const folder;
    EXPECT_THAT([&] { OutputFile(folder.path("none/out")); },
                ThrowsMessage<kernels::InputError>(
                    AllOf(HasSubstr("none/out: cannot be written: No such file"))));
}

TEST(OutputFile, FolderInItsPlaceIsRefusedAtOnce) {
    TemporaryFolder const folder;
    EXPECT_THAT([&] { OutputFile(folder.path("")); },
                ThrowsMessage<kernels::InputError>(HasSubstr("is a folder")));
}

/// Writes beyond a limit on the size of files, which fails as a full disk does; 0 if the error is
/// right and nothing is left.
int write_beyond_limit(TemporaryFolder const& folder) {
    // The kernel sends the signal before it returns the error.
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit const limit{.rlim_cur = 8192, .rlim_max = 8192};
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
        OutputFile file(folder.path("out"));
        for (int i = 0; i < 100; ++i) file.write(std::string(1000, 'x'));
        file.commit();
    } catch (kernels::SystemError const& error) {
        if (std::string(error.what()) != folder.path("out") +
                                             ": cannot be written: File too large" +
                                             ". Free some space, or write to another folder.")
            return 2;
        return folder.has("out") || folder.has("out.partial") ? 3 : 0;
    }
    return 1;
}

TEST(OutputFile, FullDiskIsASystemErrorWithPathAndReason) {
    TemporaryFolder const folder;
    auto const child = fork();
    if (child == 0) _exit(write_beyond_limit(folder));
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(OutputFile, ThatSomebodyHasRemovedOrReplacedIsAnError) {
    for (bool const replaced : {false, true}) {
        TemporaryFolder const folder;
        OutputFile file(folder.path("out"));
        file.write("x");
        file.make_durable();
        std::filesystem::remove(folder.path("out.partial"));
        if (replaced) folder.write("out.partial", "another's");
        EXPECT_THAT(
            [&] { file.make_durable(); },
            ThrowsMessage<kernels::SystemError>(HasSubstr("out.partial: was removed or replaced")));
        EXPECT_THROW(file.commit(), kernels::SystemError);
        EXPECT_EQ(folder.has("out.partial"), replaced);
        EXPECT_FALSE(folder.has("out"));
    }
}

TEST(OutputFile, FullDeviceIsSeenAtCommitToo) {
    // A text below the buffer's size reaches the device only now.
    OutputFile file("/dev/full");
    file.write("short");
    EXPECT_THAT([&] { file.commit(); },
                ThrowsMessage<kernels::SystemError>(
                    HasSubstr("/dev/full: cannot be written: No space left on device")));
}

TEST(OutputFile, PipeIsWrittenAndStaysAPipe) {
    TemporaryFolder const folder;
    auto const path = folder.path("pipe");
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    auto const reader = open(path.c_str(), O_RDWR | O_CLOEXEC);
    OutputFile file(path);
    file.write("one\n");
    file.commit();
    std::string text(4, '\0');
    EXPECT_EQ(read(reader, text.data(), text.size()), 4);
    EXPECT_EQ(text, "one\n");
    EXPECT_TRUE(is_special_file(path));
    EXPECT_FALSE(folder.has("pipe.partial"));
    close(reader);
}

TEST(OutputFile, TwoWritersOfOnePathAreKeptApart) {
    TemporaryFolder const folder;
    folder.write("out.partial", "what a killed writer has left");
    OutputFile first(folder.path("out"));
    EXPECT_THAT([&] { OutputFile(folder.path("out")); },
                ThrowsMessage<kernels::InputError>(HasSubstr("another process is writing it")));
    first.write("first");
    first.commit();
    EXPECT_EQ(folder.read("out"), "first");
    OutputFile second(folder.path("out"));
    second.write("second");
    second.commit();
    EXPECT_EQ(folder.read("out"), "second");
}

TEST(OutputFile, LinkStaysAndItsTargetIsReplaced) {
    TemporaryFolder const folder;
    std::filesystem::create_directory(folder.path("far"));
    folder.write("far/out", "old");
    std::filesystem::create_symlink("far/out", folder.path("near"));
    std::filesystem::create_symlink(folder.path("near"), folder.path("link"));
    OutputFile file(folder.path("link"));
    file.write("new");
    EXPECT_TRUE(folder.has("far/out.partial"));
    EXPECT_EQ(folder.read("far/out"), "old");
    file.commit();
    EXPECT_EQ(folder.read("far/out"), "new");
    EXPECT_TRUE(std::filesystem::is_symlink(folder.path("link")));
    EXPECT_TRUE(std::filesystem::is_symlink(folder.path("near")));
    EXPECT_FALSE(folder.has("far/out.partial"));
}

TEST(OutputFile, LinkToAFileThatIsNotThereMakesIt) {
    TemporaryFolder const folder;
    std::filesystem::create_symlink("out", folder.path("link"));
    OutputFile file(folder.path("link"));
    file.commit();
    EXPECT_TRUE(std::filesystem::is_symlink(folder.path("link")));
    EXPECT_FALSE(std::filesystem::is_symlink(folder.path("out")));
    EXPECT_TRUE(folder.has("out"));
}

TEST(OutputFile, LinkToADeviceIsWrittenAsTheDevice) {
    TemporaryFolder const folder;
    std::filesystem::create_symlink("/dev/null", folder.path("link"));
    OutputFile file(folder.path("link"));
    file.write("gone");
    file.commit();
    EXPECT_TRUE(is_special_file("/dev/null"));
    EXPECT_TRUE(std::filesystem::is_symlink(folder.path("link")));
}

TEST(OutputFile, LinksInACircleAreRefusedAtOnce) {
    TemporaryFolder const folder;
    std::filesystem::create_symlink("two", folder.path("one"));
    std::filesystem::create_symlink("one", folder.path("two"));
    EXPECT_THAT([&] { OutputFile(folder.path("one")); },
                ThrowsMessage<kernels::InputError>(HasSubstr("one: cannot be written: Too many")));
}

TEST(OutputFile, WritersOfALinkAndOfItsTargetAreKeptApart) {
    TemporaryFolder const folder;
    std::filesystem::create_symlink("out", folder.path("link"));
    OutputFile const first(folder.path("link"));
    EXPECT_THAT([&] { OutputFile(folder.path("out")); },
                ThrowsMessage<kernels::InputError>(HasSubstr("another process is writing it")));
}

TEST(PartialFile, KeepsAFileMadeMeanwhile) {
    TemporaryFolder const folder;
    PartialFile file(folder.path("out"));
    file.create();
    folder.write("out", "precious");
    EXPECT_THROW(file.commit(Existing::keep), kernels::InputError);
    EXPECT_EQ(folder.read("out"), "precious");
    std::filesystem::remove(folder.path("out"));
    file.commit(Existing::keep);
    EXPECT_EQ(folder.read("out"), "");
    EXPECT_FALSE(folder.has("out.partial"));
}

TEST(PartialFile, WhoStillWritesIntoWhatWasLeftBehindWritesElsewhere) {
    TemporaryFolder const folder;
    folder.write("out.partial", "left by a killed writer");
    int const orphan = open(folder.path("out.partial").c_str(), O_WRONLY | O_CLOEXEC);
    PartialFile file(folder.path("out"));
    file.create();
    ASSERT_EQ(pwrite(orphan, "late", 4, 0), 4);
    EXPECT_FALSE(is_named(orphan, folder.path("out.partial")));
    close(orphan);
    file.commit();
    EXPECT_EQ(folder.read("out"), "");
}

TEST(PartialFile, DoesNotReplaceADevice) {
    EXPECT_THAT([] { PartialFile("/dev/null").create(); },
                ThrowsMessage<kernels::InputError>(HasSubstr("/dev/null: is a device or pipe")));
    EXPECT_FALSE(std::filesystem::exists("/dev/null.partial"));
}

}  // namespace
}  // namespace tesserank::io
