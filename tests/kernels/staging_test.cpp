#include "kernels/cuda/backend_memory.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

namespace tesserank::kernels::cuda {
namespace {

constexpr std::size_t piece = StagingPiece::capacity;

std::vector<std::byte> pattern(std::size_t bytes, std::uint32_t seed) {
    std::vector<std::byte> values(bytes);
    std::uint32_t state = seed;
    for (auto& value : values) {
        state = state * 1664525U + 1013904223U;
        value = static_cast<std::byte>(state >> 24U);
    }
    return values;
}

class Staging : public ::testing::Test {
  protected:
    std::byte* allocate(std::size_t bytes) {
        void* memory = nullptr;
        check_cuda(cudaMalloc(&memory, bytes), "cudaMalloc");
        return static_cast<std::byte*>(memory);
    }
    Stream stream = make_stream();
    UploadRing uploads;
    Download download;
    Watch watch;
};

TEST_F(Staging, SpansMayBeReusedAtOnceAndArriveWhole) {
    std::vector<std::size_t> const sizes{1, 3, piece - 5, 0, 2 * piece + 7, 64, 9 * piece, piece};
    std::size_t const total = std::accumulate(sizes.begin(), sizes.end(), std::size_t{0});
    auto* const device = allocate(total);
    std::vector<std::byte> expected;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        auto span = pattern(sizes[i], static_cast<std::uint32_t>(i));
        uploads.copy(span, device + expected.size(), stream.get(), watch);
        expected.insert(expected.end(), span.begin(), span.end());
        std::ranges::fill(span, std::byte{0xEE});
    }
    std::vector<std::byte> back(total);
    download.copy(device, back, stream.get(), watch);
    EXPECT_TRUE(back == expected);
    cudaFree(device);
}

TEST_F(Staging, DownloadsOfEverySizeAreWhole) {
    std::size_t const largest = 3 * piece + 11;
    auto* const device = allocate(largest);
    auto const values = pattern(largest, 5);
    uploads.copy(values, device, stream.get(), watch);
    for (std::size_t const bytes :
         {std::size_t{0}, std::size_t{1}, piece - 1, piece, piece + 1, 2 * piece, largest}) {
        std::vector<std::byte> back(bytes);
        download.copy(device, back, stream.get(), watch);
        EXPECT_TRUE(std::equal(back.begin(), back.end(), values.begin())) << bytes;
    }
    cudaFree(device);
}

void rest(void* /*data*/) { std::this_thread::sleep_for(std::chrono::milliseconds(3)); }

class WatchTest : public ::testing::Test {
  protected:
    WatchTest() {
        for (int i = 0; i < 4; ++i) {
            check_cuda(cudaLaunchHostFunc(stream.get(), rest, nullptr), "cudaLaunchHostFunc");
        }
        check_cuda(cudaEventRecord(event.get(), stream.get()), "cudaEventRecord");
    }
    Stream stream = make_stream();
    Event event = make_event();
    Watch watch;
    std::vector<double> looks;
};

TEST_F(WatchTest, IsToldHowLongTheWaitTakes) {
    watch.set([&](double seconds) { looks.push_back(seconds); });
    watch.wait_for(event.get());
    ASSERT_GE(looks.size(), 3U);
    EXPECT_TRUE(std::ranges::is_sorted(looks));
    EXPECT_GE(looks.front(), 0.001);
    looks.clear();
    watch.wait_for(stream.get());
    EXPECT_EQ(looks.size(), 0U) << "nothing was left to wait for";
}

TEST_F(WatchTest, EndsAWaitByThrowing) {
    watch.set([](double seconds) {
        if (seconds > 0.005) throw SystemError("rank 3 does not answer");
    });
    EXPECT_THROW(watch.wait_for(stream.get()), SystemError);
    EXPECT_EQ(cudaEventQuery(event.get()), cudaErrorNotReady);
}

/// No memory behind it: only addresses are looked at.
TEST(ScratchRing, PiecesOfOneOperationDifferWhereverTheRingStands) {
    constexpr std::size_t mebibyte = std::size_t{1} << 20U;
    auto const nothing = [](void* /*context*/, std::byte* /*memory*/,
                            std::size_t /*bytes*/) noexcept {};
    std::vector<std::byte> anchor(1);
    ScratchRing ring(Buffer(anchor.data(), {.release = nothing}));
    auto const offset = [&](std::byte const* taken) {
        return static_cast<std::size_t>(taken - anchor.data());
    };
    for (std::size_t operation = 0; operation < 200; ++operation) {
        std::vector<std::pair<std::size_t, std::size_t>> pieces;
        std::size_t left = CudaBackend::scratch_capacity;
        for (std::size_t i = 0; left >= mebibyte; ++i) {
            std::size_t const bytes =
                std::min(left, (1 + (operation * 7 + i * 13) % 40) * mebibyte);
            std::size_t const first = offset(ring.take(bytes));
            EXPECT_EQ(first % ScratchRing::alignment, 0U);
            EXPECT_LE(first + bytes, ScratchRing::capacity);
            for (auto const& [other, other_bytes] : pieces) {
                EXPECT_TRUE(first + bytes <= other || other + other_bytes <= first);
            }
            pieces.emplace_back(first, bytes);
            left -= bytes;
        }
    }
    EXPECT_THROW(ring.take(CudaBackend::scratch_capacity + 1), LogicError);
}

}  // namespace
}  // namespace tesserank::kernels::cuda
