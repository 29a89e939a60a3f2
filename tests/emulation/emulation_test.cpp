#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/memory.cuh"
#include "kernels/cuda/device/mma.cuh"
#include "kernels/cuda/device/peer.cuh"
#include "kernels/dtype.hpp"
#include "tests/emulation/fault.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

namespace tesserank::kernels::cuda {
namespace {

using ::testing::HasSubstr;

__global__ void block_sum(float const* x, float* y, int count) {
    __shared__ float parts[32];
    float sum = 0.0F;
    for (unsigned i = threadIdx.x; i < static_cast<unsigned>(count); i += blockDim.x) sum += x[i];
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x >= 32) return;
    sum = warp_sum(threadIdx.x < blockDim.x / 32 ? parts[threadIdx.x] : 0.0F);
    if (threadIdx.x == 0) *y = sum;
}

/// In blocks of 32 x 32 threads; `barrier` is left out to show that this is found.
__global__ void transpose(float const* x, float* y, unsigned width, bool barrier) {
    auto* const tile = reinterpret_cast<float*>(dynamic_shared());
    tile[threadIdx.y * 33 + threadIdx.x] =
        x[(blockIdx.y * 32 + threadIdx.y) * width + blockIdx.x * 32 + threadIdx.x];
    if (barrier) __syncthreads();
    y[(blockIdx.x * 32 + threadIdx.y) * width + blockIdx.y * 32 + threadIdx.x] =
        tile[threadIdx.x * 33 + threadIdx.y];
}

__global__ void half_of_the_block_waits() {
    if (threadIdx.x < 32) {
        __syncthreads();
    } else {
        __syncwarp(threadIdx.x == 40 ? 0x0000ffffU : 0xffffffffU);
    }
}

/// Of both blocks, one after the other.
__global__ void wait_for_words(std::uint32_t* words) {
    if (threadIdx.x == 3) {
        while (load_acquire(words + blockIdx.x) == 0) look_again();
    }
    __syncthreads();
    if (threadIdx.x == 0) store_release(words + blockIdx.x, 2);
}

__global__ void lane_ends_early() {
    if (threadIdx.x == 5) return;
    __syncwarp();
}

__global__ void copy_through_shared(float const* x, float* y, bool wait) {
    auto* const staged = reinterpret_cast<float*>(dynamic_shared());
    copy_async16(staged + 4 * threadIdx.x, x + 4 * threadIdx.x, threadIdx.x != 2);
    commit_copies();
    if (wait) wait_for_copies<0>();
    for (unsigned i = 0; i < 4; ++i) y[4 * threadIdx.x + i] = staged[4 * threadIdx.x + i];
}

__global__ void write_at(float* y, int index) { y[index] = 1.0F; }

__global__ void add_value(float* y, float value) { *y += value; }

__global__ void dependent(float* y, bool wait) {
    if (wait) wait_for_previous_grid();
    *y = 2.0F;
}

__global__ void double_into(float const* x, float* y, bool wait_first) {
    float const early = *x;
    wait_for_previous_grid();
    *y = 2.0F * (wait_first ? *x : early);
}

/// d [16, 16] = a [16, 16] b [16, 16] transposed; all in shared memory first.
__global__ void multiply(BFloat16 const* a, BFloat16 const* b, float* d) {
    auto* const tile_a = reinterpret_cast<BFloat16*>(dynamic_shared());
    BFloat16* const tile_b = tile_a + 16 * 16;
    for (unsigned i = threadIdx.x; i < 16 * 16; i += 32) {
        tile_a[i] = a[i];
        tile_b[i] = b[i];
    }
    __syncwarp();
    unsigned const lane = threadIdx.x;
    std::uint32_t fragment_a[4], fragments_b[4];
    load_matrix_x4(fragment_a, tile_a + lane % 16 * 16 + lane / 16 * 8);
    load_matrix_x4(fragments_b, tile_b + (lane / 16 * 8 + lane % 8) * 16 + lane / 8 % 2 * 8);
    for (unsigned n = 0; n < 2; ++n) {
        float sums[4] = {};
        multiply_m16n8k16(sums, fragment_a, {fragments_b[2 * n], fragments_b[2 * n + 1]});
        for (unsigned i = 0; i < 4; ++i) {
            d[(lane / 4 + i / 2 * 8) * 16 + 8 * n + lane % 4 * 2 + i % 2] = sums[i];
        }
    }
}

class EmulationTest : public ::testing::Test {
  protected:
    EmulationTest() { check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), ""); }
    ~EmulationTest() override {
        emulation::clear_fault();
        cudaStreamDestroy(stream);
        for (void* const memory : allocated) cudaFree(memory);
    }

    template <class T>
    T* device(std::vector<T> const& values) {
        T* memory = nullptr;
        check_cuda(cudaMalloc(&memory, values.size() * sizeof(T)), "cudaMalloc");
        allocated.push_back(memory);
        check_cuda(cudaMemcpyAsync(memory, values.data(), values.size() * sizeof(T),
                                   cudaMemcpyHostToDevice, stream),
                   "cudaMemcpyAsync");
        return memory;
    }
    std::vector<float> host(float const* memory, std::size_t count) {
        std::vector<float> values(count);
        check_cuda(cudaMemcpyAsync(values.data(), memory, count * sizeof(float),
                                   cudaMemcpyDeviceToHost, stream),
                   "cudaMemcpyAsync");
        return values;
    }
    std::string fault() {
        EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorLaunchFailure);
        return cudaGetErrorString(cudaErrorLaunchFailure);
    }

    cudaStream_t stream = nullptr;
    std::vector<void*> allocated;
};

std::vector<float> ascending(std::size_t count) {
    std::vector<float> values(count);
    std::iota(values.begin(), values.end(), 0.0F);
    return values;
}

TEST_F(EmulationTest, WarpsAndBarriersAddUp) {
    float* const sum = device<float>({0.0F});
    launch(block_sum, {.grid = 1, .block = 128}, stream, device(ascending(1000)), sum, 1000);
    EXPECT_EQ(host(sum, 1)[0], 499500.0F);
}

TEST_F(EmulationTest, BlocksTransposeThroughSharedMemoryAndNeedTheBarrier) {
    auto const x = ascending(64 * 64);
    float* const y = device(x);
    LaunchShape const shape{.grid = {2, 2}, .block = {32, 32}, .shared_bytes = 32 * 33 * 4};
    float const* const source = device(x);
    launch(transpose, shape, stream, source, y, 64U, true);
    auto const turned = host(y, x.size());
    for (std::size_t r = 0; r < 64; ++r) {
        for (std::size_t c = 0; c < 64; ++c) ASSERT_EQ(turned[c * 64 + r], x[r * 64 + c]);
    }
    launch(transpose, shape, stream, source, y, 64U, false);
    EXPECT_NE(host(y, x.size()), turned);
}

TEST_F(EmulationTest, ThreadsThatWaitForEachOtherAreNamed) {
    launch(half_of_the_block_waits, {.grid = 1, .block = 64}, stream);
    EXPECT_THAT(fault(), ::testing::AllOf(HasSubstr("half_of_the_block_waits"),
                                          HasSubstr("block (0, 0, 0)")));
}

TEST_F(EmulationTest, ALaneThatEndsEarlyIsNamed) {
    launch(lane_ends_early, {.grid = 1, .block = 32}, stream);
    EXPECT_THAT(fault(), HasSubstr("thread (5, 0, 0) ended while lanes of its warp wait for it at "
                                   "__syncwarp()"));
}

TEST_F(EmulationTest, CopiesAreThereOnlyAfterTheWait) {
    auto const x = ascending(128);
    float* const y = device(x);
    LaunchShape const shape{.grid = 1, .block = 32, .shared_bytes = 512};
    launch(copy_through_shared, shape, stream, device(x), y, true);
    auto expected = x;
    for (std::size_t i = 8; i < 12; ++i) expected[i] = 0.0F;
    EXPECT_EQ(host(y, 128), expected);
    launch(copy_through_shared, shape, stream, device(x), y, false);
    EXPECT_NE(host(y, 128), expected);
}

TEST_F(EmulationTest, MultipliesAsALoopDoes) {
    std::vector<BFloat16> a(16 * 16), b(16 * 16);
    for (std::size_t i = 0; i < a.size(); ++i) {
        a[i] = from_float<BFloat16>(static_cast<float>(i * 7 % 19) - 9.0F);
    }
    for (std::size_t i = 0; i < b.size(); ++i) {
        b[i] = from_float<BFloat16>(static_cast<float>(i * 5 % 23) - 11.0F);
    }
    float* const d = device(std::vector<float>(16 * 16));
    launch(multiply, {.grid = 1, .block = 32, .shared_bytes = 1024}, stream, device(a), device(b),
           d);
    auto const product = host(d, 16 * 16);
    for (std::size_t r = 0; r < 16; ++r) {
        for (std::size_t c = 0; c < 16; ++c) {
            float sum = 0.0F;
            for (std::size_t k = 0; k < 16; ++k)
                sum += to_float(a[r * 16 + k]) * to_float(b[c * 16 + k]);
            EXPECT_EQ(product[r * 16 + c], sum);
        }
    }
}

TEST_F(EmulationTest, WritesBehindAnAllocationAreFound) {
    launch(write_at, {.grid = 1, .block = 1}, stream, device<float>({0.0F, 0.0F}), 2);
    EXPECT_THAT(fault(), ::testing::AllOf(HasSubstr("outside of an allocation of 8 bytes"),
                                          HasSubstr("write_at")));
}

#if __has_builtin(__builtin_clear_padding)
TEST_F(EmulationTest, MemoryOfTheHostIsNotForKernels) {
    float mine = 0.0F;
    launch(write_at, {.grid = 1, .block = 1}, stream, device<float>({0.0F}), 0);
    EXPECT_FALSE(emulation::faulted());
    EXPECT_THROW(launch(write_at, {.grid = 1, .block = 1}, stream, &mine, 0), SystemError);
    EXPECT_THAT(fault(), ::testing::AllOf(HasSubstr("memory of the host"), HasSubstr("write_at")));
}
#endif

TEST_F(EmulationTest, ADependentKernelHasToWait) {
    float* const y = device<float>({0.0F});
    launch_dependent(dependent, {.grid = 1, .block = 32}, stream, y, true);
    EXPECT_EQ(host(y, 1)[0], 2.0F);
    launch_dependent(dependent, {.grid = 1, .block = 32}, stream, y, false);
    EXPECT_THAT(fault(), HasSubstr("wait_for_previous_grid"));
}

TEST_F(EmulationTest, WhatADependentKernelReadsTooEarlyIsNotThere) {
    float* const x = device<float>({3.0F});
    float* const y = device<float>({0.0F});
    for (bool const wait_first : {true, false}) {
        launch(add_value, {.grid = 1, .block = 1}, stream, x, 1.0F);
        launch_dependent(double_into, {.grid = 1, .block = 1}, stream, x, y, wait_first);
        float const sum = wait_first ? 4.0F : 5.0F;
        EXPECT_EQ(host(y, 1)[0], 2.0F * (wait_first ? sum : sum - 1.0F));
    }
}

TEST_F(EmulationTest, WorkRunsWhenSomeoneWaits) {
    float* const y = device<float>({1.0F});
    float* pinned = nullptr;
    check_cuda(cudaMallocHost(&pinned, sizeof(float)), "cudaMallocHost");
    *pinned = -1.0F;
    check_cuda(cudaMemcpyAsync(pinned, y, sizeof(float), cudaMemcpyDeviceToHost, stream), "");
    EXPECT_EQ(*pinned, -1.0F);
    cudaEvent_t event = nullptr;
    check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "");
    check_cuda(cudaEventRecord(event, stream), "");
    launch(add_value, {.grid = 1, .block = 1}, stream, y, 5.0F);
    check_cuda(cudaEventSynchronize(event), "");
    EXPECT_EQ(*pinned, 1.0F);
    EXPECT_EQ(*y, 1.0F) << "what was queued behind the event still waits";
    EXPECT_EQ(cudaStreamQuery(stream), cudaErrorNotReady);
    EXPECT_EQ(cudaStreamQuery(stream), cudaSuccess);
    EXPECT_EQ(*y, 6.0F);
    cudaEventDestroy(event);
    cudaFreeHost(pinned);
}

TEST_F(EmulationTest, GraphsRunWhatWasCapturedAgain) {
    float* const y = device<float>({0.0F});
    check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "");
    float value = 2.0F;
    launch(add_value, {.grid = 1, .block = 1}, stream, y, value);
    value = 100.0F;
    cudaGraph_t graph = nullptr;
    check_cuda(cudaStreamEndCapture(stream, &graph), "");
    cudaGraphExec_t executable = nullptr;
    check_cuda(cudaGraphInstantiate(&executable, graph), "");
    check_cuda(cudaGraphDestroy(graph), "");
    EXPECT_EQ(host(y, 1)[0], 0.0F) << "capturing runs nothing";
    for (int i = 0; i < 3; ++i) check_cuda(cudaGraphLaunch(executable, stream), "");
    check_cuda(cudaGraphExecDestroy(executable), "");
    EXPECT_EQ(host(y, 1)[0], 6.0F);
}

TEST_F(EmulationTest, AKernelThatWaitsForAnotherProcessLetsTheHostGoOn) {
    auto* const words = device<std::uint32_t>({0, 0});
    check_cuda(cudaStreamSynchronize(stream), "");
    launch(wait_for_words, {.grid = 2, .block = 64}, stream, words);
    for (int block = 0; block < 2; ++block) {
        for (int look = 0; look < 3; ++look) EXPECT_EQ(cudaStreamQuery(stream), cudaErrorNotReady);
        EXPECT_EQ(words[block], 0U);
        words[block] = 1;
    }
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(words[0], 2U);
    EXPECT_EQ(words[1], 2U);
}

TEST_F(EmulationTest, ExportedMemoryIsSharedAndKeepsWhatItHolds) {
    float* const mine = device<float>({1.0F, 2.0F});
    EXPECT_EQ(host(mine, 2)[1], 2.0F);
    cudaIpcMemHandle_t handle;
    check_cuda(cudaIpcGetMemHandle(&handle, mine), "");
    EXPECT_EQ(mine[1], 2.0F);
    auto const child = fork();
    if (child == 0) {
        void* theirs = nullptr;
        bool const opened =
            cudaIpcOpenMemHandle(&theirs, handle, cudaIpcMemLazyEnablePeerAccess) == cudaSuccess;
        if (!opened || static_cast<float*>(theirs)[0] != 1.0F) _exit(1);
        static_cast<float*>(theirs)[1] = 3.0F;
        _exit(cudaIpcCloseMemHandle(theirs) == cudaSuccess ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(mine[1], 3.0F);
    void* own = nullptr;
    EXPECT_EQ(cudaIpcOpenMemHandle(&own, handle, cudaIpcMemLazyEnablePeerAccess),
              cudaErrorInvalidValue)
        << "as CUDA has it in the same process";
}

TEST_F(EmulationTest, CapturesRefuseWhatCudaRefuses) {
    float* const y = device<float>({0.0F});
    auto const refused = [&](auto const& call, cudaError_t error) {
        check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "");
        EXPECT_EQ(call(), error);
        cudaGraph_t graph = nullptr;
        EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
    };
    void* memory = nullptr;
    float value = 0.0F;
    refused([&] { return cudaMalloc(&memory, 16); }, cudaErrorStreamCaptureUnsupported);
    refused([&] { return cudaStreamSynchronize(stream); }, cudaErrorStreamCaptureUnsupported);
    refused([&] { return cudaMemcpyAsync(y, &value, 4, cudaMemcpyHostToDevice, stream); },
            cudaErrorStreamCaptureUnsupported);
    refused([&] { return cudaMemcpy(y, &value, 4, cudaMemcpyHostToDevice); },
            cudaErrorStreamCaptureUnsupported);
    cudaGetLastError();
}

TEST_F(EmulationTest, RefusesLaunchesThatNoDeviceTakes) {
    float* const y = device<float>({0.0F});
    try {
        launch(add_value, {.grid = 1, .block = 1025}, stream, y, 1.0F);
        FAIL() << "no error";
    } catch (SystemError const& error) {
        EXPECT_NE(std::string(error.what()).find("emulation_test.cpp:"), std::string::npos);
        EXPECT_NE(std::string(error.what()).find("block 1025 x 1 x 1"), std::string::npos);
    }
    EXPECT_THROW(
        launch(add_value, {.grid = 1, .block = 1, .shared_bytes = 228 * 1024}, stream, y, 1.0F),
        SystemError);
    EXPECT_NO_THROW(launch(add_value, {.grid = 0, .block = 1}, stream, y, 1.0F));
    EXPECT_EQ(host(y, 1)[0], 0.0F);
    cudaGetLastError();
}

}  // namespace
}  // namespace tesserank::kernels::cuda
