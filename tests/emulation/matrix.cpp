#include "tests/emulation/matrix.hpp"

#include "kernels/dtype.hpp"
#include "tests/emulation/executor.hpp"

#include <array>
#include <cstddef>
#include <cstring>

namespace tesserank::emulation {
namespace {

constexpr unsigned all_lanes = ~0U;

struct LoadOfLane {
    std::span<std::uint32_t> registers;
    void const* row;
};

std::uint16_t element(Payloads const& lanes, std::size_t matrix, std::size_t row, std::size_t col) {
    auto const* const address =
        static_cast<std::byte const*>(static_cast<LoadOfLane*>(lanes[matrix * 8 + row])->row);
    std::uint16_t value = 0;
    std::memcpy(&value, address + col * sizeof value, sizeof value);
    return value;
}

template <Order order>
void load_together(unsigned, Payloads const& lanes) {
    for (std::size_t lane = 0; lane < 32; ++lane) {
        auto const& registers = static_cast<LoadOfLane*>(lanes[lane])->registers;
        for (std::size_t m = 0; m < registers.size(); ++m) {
            std::size_t const whole = lane / 4, pair = lane % 4 * 2;
            std::uint32_t const low = order == Order::rows ? element(lanes, m, whole, pair)
                                                           : element(lanes, m, pair, whole);
            std::uint32_t const high = order == Order::rows ? element(lanes, m, whole, pair + 1)
                                                            : element(lanes, m, pair + 1, whole);
            registers[m] = low | high << 16;
        }
    }
}

struct ProductOfLane {
    std::span<float, 4> d;
    std::span<std::uint32_t const, 4> a;
    std::span<std::uint32_t const, 2> b;
};

float half_of(std::uint32_t word, std::size_t half) {
    return kernels::to_float(kernels::BFloat16{static_cast<std::uint16_t>(word >> 16 * half)});
}

void multiply_together(unsigned, Payloads const& lanes) {
    std::array<std::array<float, 16>, 16> a{};
    std::array<std::array<float, 8>, 16> b{};
    for (std::size_t lane = 0; lane < 32; ++lane) {
        auto const& mine = *static_cast<ProductOfLane*>(lanes[lane]);
        std::size_t const group = lane / 4, pair = lane % 4 * 2;
        for (std::size_t half = 0; half < 2; ++half) {
            for (std::size_t r = 0; r < 4; ++r) {
                a[group + r % 2 * 8][pair + half + r / 2 * 8] = half_of(mine.a[r], half);
            }
            for (std::size_t r = 0; r < 2; ++r) {
                b[pair + half + r * 8][group] = half_of(mine.b[r], half);
            }
        }
    }
    for (std::size_t lane = 0; lane < 32; ++lane) {
        auto const& mine = *static_cast<ProductOfLane*>(lanes[lane]);
        for (std::size_t i = 0; i < 4; ++i) {
            std::size_t const row = lane / 4 + i / 2 * 8, col = lane % 4 * 2 + i % 2;
            float sum = 0.0F;
            for (std::size_t k = 0; k < 16; ++k) sum += a[row][k] * b[k][col];
            mine.d[i] += sum;
        }
    }
}

}  // namespace

void load_matrices(std::span<std::uint32_t> registers, void const* row, Order order) {
    // Only the lanes that give addresses have to give good ones.
    if (lane() < 8 * registers.size()) require_aligned(row, 16, "a row of load_matrix");
    LoadOfLane mine{registers, row};
    with_warp(all_lanes, order == Order::rows ? "load_matrix" : "load_matrix_transposed", &mine,
              order == Order::rows ? load_together<Order::rows> : load_together<Order::columns>);
}

void multiply_m16n8k16(std::span<float, 4> d, std::span<std::uint32_t const, 4> a,
                       std::span<std::uint32_t const, 2> b) {
    ProductOfLane mine{d, a, b};
    with_warp(all_lanes, "multiply_m16n8k16", &mine, multiply_together);
}

}  // namespace tesserank::emulation
