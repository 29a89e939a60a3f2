#pragma once

#include "kernels/kokkos/isa/vectors.hpp"

namespace tesserank::kernels::kokkos::isa {

template <class Isa, class Weight, std::size_t Rows, std::size_t Tokens>
struct DotTile {
    /// y for `Rows` rows of w from `row` and `Tokens` rows of x from `token`: the sums stay in
    /// registers, each w is read once for all tokens of the tile.
    static void run(DotTask const& task, std::size_t row, std::size_t token) {
        auto const* const w = static_cast<Weight const*>(task.w) + row * task.w_stride;
        std::size_t const x_stride = padded(task.depth);
        float const* const x = task.x + token * x_stride;
        Lanes<Isa> sum[Rows][Tokens] = {};
        std::size_t k = 0;
        for (; k + lanes <= task.depth; k += lanes) {
            Lanes<Isa> weights[Rows];
            for (std::size_t r = 0; r < Rows; ++r) {
                weights[r] = load_lanes<Isa>(w + r * task.w_stride + k);
            }
            add_products(sum, weights, x + k, x_stride);
        }
        if (k < task.depth) {
            Lanes<Isa> weights[Rows];
            for (std::size_t r = 0; r < Rows; ++r) {
                weights[r] = load_some<Isa>(w + r * task.w_stride + k, task.depth - k);
            }
            add_products(sum, weights, x + k, x_stride);
        }
        for (std::size_t t = 0; t < Tokens; ++t) {
            float* const y = task.y + (token + t) * task.y_stride + row;
            for (std::size_t r = 0; r < Rows; ++r) y[r] = add_up(sum[r][t]);
        }
    }

    static void add_products(Lanes<Isa> (&sum)[Rows][Tokens], Lanes<Isa> const (&weights)[Rows],
                             float const* x, std::size_t x_stride) {
        for (std::size_t t = 0; t < Tokens; ++t) {
            auto const input = load_lanes<Isa>(x + t * x_stride);
            for (std::size_t r = 0; r < Rows; ++r) multiply_add(sum[r][t], input, weights[r]);
        }
    }
};

/// The last tokens, fewer than a tile has.
template <class Isa, class Weight, std::size_t Rows, std::size_t Tokens>
void dot_remaining(DotTask const& task, std::size_t row, std::size_t token) {
    if constexpr (Tokens > 0) {
        if (task.tokens - token == Tokens) {
            DotTile<Isa, Weight, Rows, Tokens>::run(task, row, token);
        } else {
            dot_remaining<Isa, Weight, Rows, Tokens - 1>(task, row, token);
        }
    }
}

/// All tokens with `Rows` rows of w.
template <class Isa, class Weight, std::size_t Rows>
void dot_rows(DotTask const& task, std::size_t row) {
    constexpr std::size_t tile = Isa::tile_tokens;
    std::size_t token = 0;
    for (; token + tile <= task.tokens; token += tile) {
        DotTile<Isa, Weight, Rows, tile>::run(task, row, token);
    }
    dot_remaining<Isa, Weight, Rows, tile - 1>(task, row, token);
}

template <class Isa, class Weight>
void dot_with(DotTask const& task) {
    std::size_t row = 0;
    if (task.tokens == 1) {
        // With one token nothing is reused: several rows at once keep more loads under way.
        for (; row + 4 <= task.rows; row += 4) DotTile<Isa, Weight, 4, 1>::run(task, row, 0);
    }
    constexpr std::size_t tile = Isa::tile_rows;
    for (; row + tile <= task.rows; row += tile) dot_rows<Isa, Weight, tile>(task, row);
    for (; row < task.rows; ++row) dot_rows<Isa, Weight, 1>(task, row);
}

template <class Isa>
void dot(DotTask const& task) {
    switch (task.dtype) {
        case DType::f32:
            return dot_with<Isa, float>(task);
        case DType::bf16:
            return dot_with<Isa, BFloat16>(task);
        case DType::f16:
            return dot_with<Isa, Float16>(task);
    }
}

template <class Isa, class Element>
void widen_from(Element const* source, float* destination, std::size_t count) {
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes) {
        store_lanes(destination + i, load_lanes<Isa>(source + i));
    }
    if (i == count) return;
    auto const rest = load_some<Isa>(source + i, count - i);
    std::memcpy(destination + i, &rest, (count - i) * sizeof(float));
}

template <class Isa>
void widen(DType dtype, void const* source, float* destination, std::size_t count) {
    switch (dtype) {
        case DType::f32:
            return widen_from<Isa>(static_cast<float const*>(source), destination, count);
        case DType::bf16:
            return widen_from<Isa>(static_cast<BFloat16 const*>(source), destination, count);
        case DType::f16:
            return widen_from<Isa>(static_cast<Float16 const*>(source), destination, count);
    }
}

}  // namespace tesserank::kernels::kokkos::isa
