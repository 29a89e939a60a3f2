#include "io/model_file/background_read.hpp"

#include "io/model_file/checksum.hpp"
#include "io/model_file/direct_load.hpp"
#include "kernels/backend.hpp"
#include "kernels/error.hpp"
#include "tests/io/temporary_folder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

namespace tesserank::io {
namespace {

constexpr std::size_t rows = 100;
constexpr std::size_t row_bytes = 4096;

/// A tensor that fills a file, in blocks of one row.
class BackgroundReadTest : public ::testing::Test {
  protected:
    BackgroundReadTest() {
        content.resize(rows * row_bytes);
        for (std::size_t i = 0; i < content.size(); ++i) {
            content[i] = static_cast<char>(i * 2654435761U >> 11);
        }
        tensor.name = "t";
        tensor.shape = {rows, row_bytes / sizeof(float)};
        tensor.bytes = content.size();
        tensor.block_bytes = row_bytes;
        auto const bytes = std::as_bytes(std::span(content));
        for (std::size_t row = 0; row < rows; ++row) {
            tensor.checksums.push_back(checksum_of(bytes.subspan(row * row_bytes, row_bytes)));
        }
        path = folder.write("file", content);
    }

    TemporaryFolder folder;
    std::unique_ptr<kernels::Backend> backend = kernels::make_reference_backend();
    std::string content, path;
    StoredTensor tensor;
};

TEST_F(BackgroundReadTest, ReadsWhileItsCallerDoesSomethingElse) {
    InputFile const file(path);
    auto const blocks = blocks_of(tensor);
    StagingBuffer const buffer(*backend, content.size());
    BackgroundRead reader(file);
    reader.start(blocks, buffer.first(content.size()));
    EXPECT_GE(reader.finish(), 0.0);
    EXPECT_TRUE(
        std::ranges::equal(buffer.first(content.size()), std::as_bytes(std::span(content))));
}

TEST_F(BackgroundReadTest, AnyNumberOfThreadsReadsTheSame) {
    InputFile const file(path);
    auto const blocks = blocks_of(tensor);
    for (int const threads : {0, 1, 3, 4, 150}) {
        StagingBuffer const buffer(*backend, content.size());
        BackgroundRead reader(file, threads);
        reader.start(blocks, buffer.first(content.size()));
        reader.finish();
        EXPECT_TRUE(
            std::ranges::equal(buffer.first(content.size()), std::as_bytes(std::span(content))))
            << threads << " threads";
    }
}

TEST_F(BackgroundReadTest, OfSeveralWrongBlocksTheFirstIsNamed) {
    InputFile const file(path);
    tensor.checksums[90] ^= 1;
    tensor.checksums[40] ^= 1;
    auto const blocks = blocks_of(tensor);
    StagingBuffer const buffer(*backend, content.size());
    BackgroundRead reader(file, 4);
    reader.start(blocks, buffer.first(content.size()));
    try {
        reader.finish();
        FAIL() << "a wrong block was not found";
    } catch (kernels::InputError const& error) {
        EXPECT_NE(std::string(error.what()).find("rows 40 to 40"), std::string::npos);
    }
}

TEST_F(BackgroundReadTest, AnErrorComesWithTheEnd) {
    InputFile const file(path);
    tensor.checksums[70] ^= 1;
    auto const blocks = blocks_of(tensor);
    StagingBuffer const buffer(*backend, content.size());
    BackgroundRead reader(file);
    reader.start(blocks, buffer.first(content.size()));
    EXPECT_THROW(reader.finish(), kernels::InputError);
}

TEST_F(BackgroundReadTest, NobodyHasToWaitForTheEnd) {
    InputFile const file(path);
    auto const blocks = blocks_of(tensor);
    StagingBuffer const buffer(*backend, content.size());
    BackgroundRead reader(file);
    reader.start(blocks, buffer.first(content.size()));
}

TEST_F(BackgroundReadTest, DirectLoadingReadsOneBatchAhead) {
    InputFile const file(path);
    std::vector<std::byte> memory(content.size());
    model::WeightRequest const request{
        "t",
        {{{0, tensor.rows()}, {0, tensor.cols()}}},
        {{memory.data(), tensor.dtype, tensor.rows(), tensor.cols(), tensor.cols()}}};
    auto const blocks = blocks_of(tensor);
    LoadReport report;
    load_directly(
        blocks, {{&tensor, {&request}}},
        {.file = file, .backend = *backend, .rank = 0, .staging_bytes = 7 * row_bytes + 1}, report);
    EXPECT_TRUE(std::ranges::equal(memory, std::as_bytes(std::span(content))));
    EXPECT_EQ(report.bytes_read, content.size());
    EXPECT_EQ(report.most_held_bytes, 14 * row_bytes);
}

}  // namespace
}  // namespace tesserank::io
