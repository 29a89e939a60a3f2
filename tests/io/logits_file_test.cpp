#include "io/requests/logits_file.hpp"

#include "io/hdf5/dataset.hpp"
#include "io/hdf5/file.hpp"
#include "kernels/error.hpp"
#include "tests/io/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <numeric>
#include <vector>

namespace tesserank::io {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// [rows, columns] and the values of one sequence.
std::pair<std::vector<std::size_t>, std::vector<float>> read(std::string const& path,
                                                             std::string const& id) {
    auto const file = open_h5(path);
    H5Dataset const dataset(H5Dopen2(file.get(), ("/" + id + "/logits").c_str(), H5P_DEFAULT));
    auto const shape = shape_of(dataset);
    std::vector<float> values(shape[0] * shape[1]);
    EXPECT_GE(
        H5Dread(dataset.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
    return {shape, values};
}

std::vector<float> count_from(float first, std::size_t count) {
    std::vector<float> values(count);
    std::iota(values.begin(), values.end(), first);
    return values;
}

TEST(LogitsFile, HoldsRowsOfMixedSequencesInOrder) {
    TemporaryFolder const folder;
    LogitsFile file(folder.path("logits.h5"), 3);
    file.append("a", count_from(0, 6));
    file.append("b c", count_from(100, 3));
    file.append("a", count_from(6, 3));
    file.finish("a");
    EXPECT_FALSE(folder.has("logits.h5"));
    file.commit();
    EXPECT_FALSE(folder.has("logits.h5.partial"));

    auto const [shape, values] = read(folder.path("logits.h5"), "a");
    EXPECT_THAT(shape, ElementsAre(3U, 3U));
    EXPECT_EQ(values, count_from(0, 9));
    EXPECT_EQ(read(folder.path("logits.h5"), "b c").second, count_from(100, 3));
}

TEST(LogitsFile, GrowsOverManyChunksRowByRow) {
    TemporaryFolder const folder;
    std::size_t constexpr vocabulary = 10007, rows = 40;
    LogitsFile file(folder.path("logits.h5"), vocabulary);
    for (std::size_t i = 0; i < rows; ++i) {
        file.append("a", count_from(static_cast<float>(i * vocabulary), vocabulary));
    }
    file.commit();
    EXPECT_EQ(read(folder.path("logits.h5"), "a").second, count_from(0, rows * vocabulary));
}

TEST(LogitsFile, TakesRowsLargerThanAChunk) {
    TemporaryFolder const folder;
    std::size_t constexpr vocabulary = 300000;
    LogitsFile file(folder.path("logits.h5"), vocabulary);
    file.append("a", count_from(0, 2 * vocabulary));
    file.commit();
    EXPECT_EQ(read(folder.path("logits.h5"), "a").second, count_from(0, 2 * vocabulary));
}

TEST(LogitsFile, NotCommittedLeavesNothing) {
    TemporaryFolder const folder;
    { LogitsFile(folder.path("logits.h5"), 2).append("a", count_from(0, 2)); }
    EXPECT_FALSE(folder.has("logits.h5"));
    EXPECT_FALSE(folder.has("logits.h5.partial"));
}

TEST(LogitsFile, RefusesIdsThatCannotNameAGroup) {
    for (std::string_view const id : {std::string_view("."), std::string_view(".."),
                                      std::string_view("a/b"), std::string_view("a\0b", 3)}) {
        EXPECT_THAT([&] { LogitsFile::check_id(id); },
                    ThrowsMessage<kernels::InputError>(HasSubstr("expected one that can name an")));
    }
    LogitsFile::check_id("a.b");
    LogitsFile::check_id("...");
}

TEST(LogitsFile, MissingFolderIsRefusedAtOnce) {
    EXPECT_THAT([] { LogitsFile("/nonexistent/logits.h5", 2); },
                ThrowsMessage<kernels::InputError>(
                    HasSubstr("/nonexistent/logits.h5: cannot be written: No such file")));
}

int write_beyond_limit(TemporaryFolder const& folder) {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit const limit{.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
        LogitsFile file(folder.path("logits.h5"), 1000);
        for (int i = 0; i < 2000; ++i) file.append("a", count_from(0, 1000));
        file.commit();
    } catch (kernels::SystemError const& error) {
        std::string const message = error.what();
        if (!message.starts_with(folder.path("logits.h5") + ": logits cannot be written: "))
            return 2;
        return folder.has("logits.h5") || folder.has("logits.h5.partial") ? 3 : 0;
    }
    return 1;
}

TEST(LogitsFile, FullDiskIsASystemErrorWithThePath) {
    TemporaryFolder const folder;
    auto const child = fork();
    if (child == 0) _exit(write_beyond_limit(folder));
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace tesserank::io
