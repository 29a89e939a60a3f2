#include "kernels/cuda/device/barrier.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/memory.cuh"
#include "kernels/cuda/device/wgmma.cuh"
#include "kernels/dtype.hpp"
#include "tests/emulation/fault.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace tesserank::kernels::cuda {
namespace {

using ::testing::HasSubstr;

constexpr int columns = 64;

enum class Mistake { none, not_begun, not_published, overwritten, read_early, part_of_a_panel };

/// Puts a row of 64 elements where the 128-byte swizzle has it; a thread copies a chunk of 16
/// bytes.
__device__ void load_panel(std::byte* panel, BFloat16 const* rows, unsigned count) {
    for (unsigned i = threadIdx.x; i < count * 8; i += blockDim.x) {
        unsigned const row = i / 8, chunk = i % 8;
        copy_async16(panel + row * 128 + (chunk ^ row % 8) * 16, rows + row * 64 + chunk * 8, true);
    }
    commit_copies();
    wait_for_copies<0>();
}

__device__ void store(float const (&sums)[columns / 2], float* d) {
    for (unsigned i = 0; i < columns / 2; ++i) {
        unsigned const row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + i / 2 % 2 * 8;
        d[row * columns + i / 4 * 8 + threadIdx.x % 4 * 2 + i % 2] = sums[i];
    }
}

/// d = a b^T, or a b when `b` has its rows summed over; all are [64, 64].
__global__ void product(BFloat16 const* a, BFloat16 const* b, float* d, bool rows_summed,
                        Mistake mistake) {
    std::byte* const panel_a = dynamic_shared();
    std::byte* const panel_b = panel_a + 8192;
    load_panel(panel_a, a, 64);
    load_panel(panel_b, b, 64);
    if (mistake != Mistake::not_published) publish_to_products();
    __syncthreads();
    float sums[columns / 2] = {};
    if (mistake != Mistake::not_begun) begin_products();
    std::uint32_t registers[4][4];
    for (unsigned step = 0; step < 4; ++step) {
        if (rows_summed) {
            for (unsigned r = 0; r < 4; ++r) {
                unsigned const row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + r % 2 * 8;
                std::memcpy(&registers[step][r],
                            a + row * 64 + step * 16 + threadIdx.x % 4 * 2 + r / 2 * 8, 4);
            }
            auto const b_of_step = advanced(matrix_descriptor(panel_b, 8192), step * 2048);
            if (mistake == Mistake::part_of_a_panel) {
                float few[20] = {};
                multiply_registers<40>(few, registers[step], b_of_step);
            }
            multiply_registers<columns>(sums, registers[step], b_of_step);
        } else {
            multiply_shared<columns>(sums, advanced(matrix_descriptor(panel_a, 16), step * 32),
                                     advanced(matrix_descriptor(panel_b, 16), step * 32), step > 0);
        }
    }
    commit_products();
    if (mistake == Mistake::read_early) store(sums, d);
    if (mistake == Mistake::overwritten && threadIdx.x == 0) panel_b[40] ^= std::byte{1};
    wait_for_products<0>();
    if (mistake != Mistake::read_early) store(sums, d);
}

/// Threads of the second half write, those of the first read, in turns of a slot in shared memory.
__global__ void hand_over(int* sums, int rounds) {
    __shared__ Barrier full, empty;
    __shared__ int slot;
    if (threadIdx.x == 0) {
        initialise(&full, 1);
        initialise(&empty, 32);
    }
    __syncthreads();
    int sum = 0;
    for (unsigned round = 0; round < static_cast<unsigned>(rounds); ++round) {
        if (threadIdx.x >= 32) {
            wait(&empty, round % 2 ^ 1U);
            sync_named(1, 32);
            if (threadIdx.x == 32) {
                slot = static_cast<int>(round);
                arrive(&full);
            }
        } else {
            wait(&full, round % 2);
            sum += slot;
            arrive(&empty);
        }
    }
    if (threadIdx.x < 32) sums[threadIdx.x] = sum;
}

class WarpgroupTest : public ::testing::Test {
  protected:
    WarpgroupTest() {
        check_cuda(cudaMallocManaged(&a, 64 * 64 * sizeof(BFloat16)), "cudaMallocManaged");
        check_cuda(cudaMallocManaged(&b, 64 * 64 * sizeof(BFloat16)), "cudaMallocManaged");
        check_cuda(cudaMallocManaged(&d, 64 * 64 * sizeof(float)), "cudaMallocManaged");
        for (std::size_t i = 0; i < std::size_t{64} * 64; ++i) {
            a[i] = from_float<BFloat16>(static_cast<float>(i * 7 % 19) - 9.0F);
            b[i] = from_float<BFloat16>(static_cast<float>(i * 5 % 23) - 11.0F);
        }
    }
    ~WarpgroupTest() override {
        emulation::clear_fault();
        cudaFree(a);
        cudaFree(b);
        cudaFree(d);
    }

    cudaError_t run(bool rows_summed, Mistake mistake = Mistake::none) {
        launch(product, {.grid = 1, .block = 128, .shared_bytes = 16384}, nullptr, a, b, d,
               rows_summed, mistake);
        return cudaDeviceSynchronize();
    }

    BFloat16* a = nullptr;
    BFloat16* b = nullptr;
    float* d = nullptr;
};

TEST_F(WarpgroupTest, MultipliesAsALoopDoes) {
    for (bool const rows_summed : {false, true}) {
        ASSERT_EQ(run(rows_summed), cudaSuccess);
        for (std::size_t r = 0; r < 64; ++r) {
            for (std::size_t c = 0; c < 64; ++c) {
                float sum = 0.0F;
                for (std::size_t k = 0; k < 64; ++k) {
                    sum += to_float(a[r * 64 + k]) *
                           to_float(b[rows_summed ? k * 64 + c : c * 64 + k]);
                }
                ASSERT_EQ(d[r * 64 + c], sum) << r << ", " << c << (rows_summed ? ", rows" : "");
            }
        }
    }
}

TEST_F(WarpgroupTest, FindsMistakes) {
    struct {
        Mistake mistake;
        char const* text;
    } const cases[] = {{Mistake::not_begun, "without begin_products()"},
                       {Mistake::not_published, "nobody published"},
                       {Mistake::overwritten, "operands in shared memory have changed"},
                       {Mistake::part_of_a_panel, "part of a panel's columns"}};
    for (auto const& [mistake, text] : cases) {
        bool const rows_summed = mistake == Mistake::part_of_a_panel;
        EXPECT_THROW(check_cuda(run(rows_summed, mistake), ""), SystemError);
        EXPECT_THAT(emulation::fault_text(), HasSubstr(text));
        emulation::clear_fault();
    }
    EXPECT_EQ(run(false, Mistake::read_early), cudaSuccess);
    EXPECT_NE(d[0], d[0]) << "what is read before the wait is NaN";
}

TEST_F(WarpgroupTest, BarriersHandOverSlots) {
    int* sums = nullptr;
    check_cuda(cudaMallocManaged(&sums, 32 * sizeof(int)), "cudaMallocManaged");
    launch(hand_over, {.grid = 1, .block = 64}, nullptr, sums, 9);
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    for (int i = 0; i < 32; ++i) EXPECT_EQ(sums[i], 36);
    cudaFree(sums);
}

}  // namespace
}  // namespace tesserank::kernels::cuda
