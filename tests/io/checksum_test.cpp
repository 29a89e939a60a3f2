#include "io/model_file/checksum.hpp"

#include "io/model_file/sha256.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

namespace tesserank::io {
namespace {

std::span<std::byte const> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

TEST(Checksum, IsXxh3) {
    // From the test vectors of xxHash: XXH3_64bits of nothing, seed 0.
    EXPECT_EQ(checksum_of({}), 0x2D06800538D394C2U);
}

TEST(BlockChecksums, DoNotDependOnThePieces) {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += static_cast<char>(i * 7 + i / 256);
    for (auto const block : std::vector<std::size_t>{1, 16, 333, 500, 1000, 2000}) {
        std::vector<std::uint64_t> expected;
        for (std::size_t begin = 0; begin < text.size(); begin += block) {
            expected.push_back(checksum_of(bytes_of(std::string_view(text).substr(begin, block))));
        }
        for (auto const piece : std::vector<std::size_t>{1, 7, 500, 1000}) {
            BlockChecksums checksums(block);
            for (std::size_t begin = 0; begin < text.size(); begin += piece) {
                checksums.append(bytes_of(std::string_view(text).substr(begin, piece)));
            }
            EXPECT_EQ(checksums.finish(), expected) << block << " " << piece;
        }
    }
    EXPECT_TRUE(BlockChecksums(4).finish().empty());
}

TEST(Sha256, FitsTheStandardsExamples) {
    // FIPS 180-4
    EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    Sha256 pieces;
    pieces.append(bytes_of("a"));
    pieces.append(bytes_of("bc"));
    EXPECT_EQ(pieces.finish(), sha256_of("abc"));
}

}  // namespace
}  // namespace tesserank::io
