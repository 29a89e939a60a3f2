#include "model/vision/position_table.hpp"

#include "kernels/error.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace tesserank::model {
namespace {

/// What four neighbours contribute to a value between the second and the third of them.
struct Taps {
    std::array<std::size_t, 4> at{};
    std::array<float, 4> weight{};
};

/// Of a neighbour at most 1 away.
float near_weight(float distance) {
    constexpr float a = -0.75F;
    return ((a + 2.0F) * distance - (a + 3.0F)) * distance * distance + 1.0F;
}

/// Of a neighbour between 1 and 2 away.
float far_weight(float distance) {
    constexpr float a = -0.75F;
    return ((a * distance - 5.0F * a) * distance + 8.0F * a) * distance - 4.0F * a;
}

Taps taps_of(std::size_t index, std::size_t from, std::size_t to) {
    float const scale = static_cast<float>(from) / static_cast<float>(to);
    float const place = (static_cast<float>(index) + 0.5F) * scale - 0.5F;
    float const below = std::floor(place), beyond = place - below;
    Taps taps{.at = {},
              .weight = {far_weight(beyond + 1.0F), near_weight(beyond), near_weight(1.0F - beyond),
                         far_weight(2.0F - beyond)}};
    for (std::size_t i = 0; i < taps.at.size(); ++i) {
        float const wanted = below - 1.0F + static_cast<float>(i);
        taps.at[i] =
            static_cast<std::size_t>(std::clamp(wanted, 0.0F, static_cast<float>(from - 1)));
    }
    return taps;
}

}  // namespace

std::vector<float> resize_positions(std::span<float const> table, std::size_t columns,
                                    std::size_t from, std::size_t to) {
    kernels::require(table.size() == (1 + from * from) * columns && from > 0,
                     "the table of positions has another size than its grid");
    auto const cell = [&](std::size_t y, std::size_t x) {
        return table.subspan((1 + y * from + x) * columns, columns);
    };
    std::vector<float> result((1 + to * to) * columns);
    std::ranges::copy(table.first(columns), result.begin());
    float* next = result.data() + columns;
    for (std::size_t y = 0; y < to; ++y) {
        auto const down = taps_of(y, from, to);
        for (std::size_t x = 0; x < to; ++x, next += columns) {
            auto const across = taps_of(x, from, to);
            for (std::size_t tap = 0; tap < 16; ++tap) {
                std::size_t const i = tap / 4, j = tap % 4;
                auto const values = cell(down.at[i], across.at[j]);
                float const weight = down.weight[i] * across.weight[j];
                for (std::size_t c = 0; c < columns; ++c) next[c] += weight * values[c];
            }
        }
    }
    return result;
}

}  // namespace tesserank::model
