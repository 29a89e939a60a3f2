#include "io/model_file/convert_share.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace tesserank::io {
namespace {

/// Files of tensors of so many bytes.
std::vector<SafetensorsFile> files_of(std::vector<std::vector<std::size_t>> const& sizes) {
    std::vector<SafetensorsFile> files;
    for (auto const& tensors : sizes) {
        auto& file = files.emplace_back();
        file.version.bytes = 8;
        for (auto const bytes : tensors) {
            auto& tensor = file.tensors.emplace_back();
            tensor.offset = file.version.bytes;
            tensor.bytes = bytes;
            file.version.bytes += bytes;
        }
    }
    return files;
}

/// Every tensor is converted once and every file hashed once; what each rank has to do, in bytes.
std::vector<std::size_t> work_of(std::vector<SafetensorsFile> const& files,
                                 std::vector<ConvertShare> const& shares) {
    std::vector<std::size_t> work(shares.size(), 0);
    for (std::size_t file = 0; file < files.size(); ++file) {
        std::size_t hashed = 0;
        std::vector<int> converted(files[file].tensors.size(), 0);
        for (std::size_t rank = 0; rank < shares.size(); ++rank) {
            auto const& share = shares[rank][file];
            if (share.hashes) {
                ++hashed;
                EXPECT_EQ(rank_that_hashes(shares, file), rank);
                for (auto const& tensor : files[file].tensors) work[rank] += tensor.bytes;
            }
            for (auto i = share.tensors.begin; i < share.tensors.end(); ++i) {
                ++converted[i];
                EXPECT_EQ(rank_that_converts(shares, file, i), rank);
                work[rank] += files[file].tensors[i].bytes;
            }
        }
        EXPECT_EQ(hashed, 1U);
        EXPECT_TRUE(std::ranges::all_of(converted, [](int times) { return times == 1; }));
    }
    return work;
}

/// The most that a rank has to do, in bytes.
std::size_t most_work(std::vector<SafetensorsFile> const& files, int ranks) {
    auto const shares = share_conversion(files, ranks);
    EXPECT_EQ(shares.size(), static_cast<std::size_t>(ranks));
    return std::ranges::max(work_of(files, shares));
}

TEST(ConvertShare, OneRankDoesAll) {
    auto const files = files_of({{5, 7}, {11}});
    EXPECT_EQ(most_work(files, 1), 2U * 23);
    auto const share = share_conversion(files, 1).front();
    EXPECT_EQ(bytes_read(files[0], share[0]), files[0].version.bytes);
}

TEST(ConvertShare, ManyFilesStayWhole) {
    auto const files = files_of(std::vector<std::vector<std::size_t>>(8, {50, 50}));
    EXPECT_EQ(most_work(files, 4), 400U);
    for (auto const& share : share_conversion(files, 4)) {
        for (auto const& file : share) EXPECT_EQ(file.tensors.count, file.hashes ? 2U : 0U);
    }
}

TEST(ConvertShare, FilesThatDoNotComeOutEvenAreCut) {
    auto const files =
        files_of(std::vector<std::vector<std::size_t>>(5, std::vector<std::size_t>(10, 10)));
    EXPECT_LE(most_work(files, 2), 510U);
    EXPECT_LE(most_work(files, 3), 350U);
}

TEST(ConvertShare, TheOnlyFilesHashIsOneRanksWork) {
    auto const files = files_of({std::vector<std::size_t>(100, 10)});
    EXPECT_EQ(most_work(files, 2), 1000U);
    EXPECT_EQ(most_work(files, 4), 1000U);
    auto const shares = share_conversion(files, 2);
    EXPECT_EQ(bytes_read(files[0], shares[1][0]), shares[1][0].tensors.count * 10);
}

TEST(ConvertShare, OnlyTheRanksOnTheFirstNodeMayHaveWork) {
    auto const files = files_of(std::vector<std::vector<std::size_t>>(4, {50, 50}));
    auto const work = [&](std::vector<int> const& nodes) {
        return work_of(files, share_on_first_node(files, nodes));
    };
    EXPECT_EQ(work({0, 1, 0, 1}), (std::vector<std::size_t>{400, 0, 400, 0}));
    EXPECT_EQ(work({0, 1, 2}), (std::vector<std::size_t>{800, 0, 0}));
    EXPECT_EQ(work({0, 0, 0, 0}), std::vector<std::size_t>(4, 200));
}

TEST(ConvertShare, OddOnesLoseNothing) {
    for (int ranks = 1; ranks <= 8; ++ranks) {
        most_work(files_of({{1000, 1, 1}, {}, {3}, {0, 5, 0}}), ranks);
        most_work(files_of({{1, 1, 1000}, {999}}), ranks);
        most_work(files_of({}), ranks);
    }
}

}  // namespace
}  // namespace tesserank::io
