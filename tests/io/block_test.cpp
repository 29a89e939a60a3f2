#include "io/model_file/block.hpp"

#include "io/model_file/format.hpp"
#include "kernels/error.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace tesserank::io {
namespace {

using kernels::DType;

/// Lies at `offset`; blocks of `block_bytes`.
StoredTensor tensor_of(std::size_t rows, std::size_t cols, std::size_t block_bytes,
                       std::size_t offset = 0) {
    StoredTensor tensor;
    tensor.name = "t";
    tensor.dtype = DType::bf16;
    tensor.shape = {rows, cols};
    tensor.offset = offset;
    tensor.bytes = rows * cols * 2;
    tensor.block_bytes = block_bytes;
    tensor.checksums.resize((tensor.bytes + block_bytes - 1) / block_bytes);
    return tensor;
}

TEST(Block, HoldsWholeRowsUpToFourMebibytes) {
    EXPECT_EQ(block_bytes_for({100, 1000}, DType::f32), most_block_bytes / 4000 * 4000);
    EXPECT_EQ(block_bytes_for({7}, DType::bf16), most_block_bytes);
    EXPECT_EQ(block_bytes_for({}, DType::f32), most_block_bytes);
    EXPECT_EQ(block_bytes_for({0, 5}, DType::f32), most_block_bytes);
    EXPECT_EQ(block_bytes_for({3, 1 << 20}, DType::f32), most_block_bytes);
    EXPECT_EQ(block_bytes_for({3, (1 << 20) + 1}, DType::f32), most_block_bytes);
    EXPECT_EQ(block_bytes_for({3, (1 << 19) + 1}, DType::f32), ((1 << 19) + 1) * 4);
}

TEST(Block, ShapesThatOverflowAreRefused) {
    EXPECT_THROW(bytes_of_shape({std::size_t{1} << 40, std::size_t{1} << 40}, DType::bf16),
                 kernels::InputError);
    EXPECT_EQ(bytes_of_shape({std::size_t{1} << 40, 0, std::size_t{1} << 40}, DType::bf16), 0U);
}

TEST(Block, LastOneMayBeShort) {
    auto const tensor = tensor_of(10, 4, 24, 100);
    auto const blocks = blocks_of(tensor);
    ASSERT_EQ(blocks.size(), 4U);
    EXPECT_EQ(blocks[3].bytes(), 8U);
    EXPECT_EQ(blocks[3].file_offset(), 172U);
    EXPECT_TRUE(blocks[0].touches(blocks[1]));
    EXPECT_FALSE(blocks[0].touches(blocks[2]));
    EXPECT_EQ(blocks[1].describe(), "tensor t, rows 3 to 5");
    EXPECT_EQ(blocks[3].describe(), "tensor t, rows 9 to 9");
}

TEST(Block, PiecesOfOneRowNameTheirRow) {
    auto const tensor = tensor_of(2, 8, 12);
    EXPECT_EQ(blocks_of(tensor)[1].describe(), "tensor t, rows 0 to 1");
    EXPECT_EQ(blocks_of(tensor)[2].describe(), "tensor t, rows 1 to 1");
}

TEST(Block, DealIsCompleteContiguousAndEven) {
    auto const large = tensor_of(100, 16, 320);
    auto const small = tensor_of(3, 1, 6, 4000);
    auto blocks = blocks_of(large);
    blocks.push_back(blocks_of(small)[0]);
    for (int ranks = 1; ranks <= 20; ++ranks) {
        auto const shares = deal_blocks(blocks, ranks);
        ASSERT_EQ(shares.size(), static_cast<std::size_t>(ranks));
        std::size_t next = 0;
        for (auto const& share : shares) {
            EXPECT_EQ(share.begin, next);
            next = share.end();
            std::size_t bytes = 0;
            for (auto i = share.begin; i < share.end(); ++i) bytes += blocks[i].bytes();
            EXPECT_LE(bytes, 3206U / static_cast<std::size_t>(ranks) + 320) << ranks;
        }
        EXPECT_EQ(next, blocks.size());
    }
    EXPECT_EQ(deal_blocks({}, 3).back().end(), 0U);
}

}  // namespace
}  // namespace tesserank::io
