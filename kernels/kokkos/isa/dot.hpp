#pragma once

#include "kernels/kokkos/isa/vectors.hpp"

namespace tesserank::kernels::kokkos::isa {

/// y for `Rows` rows of w and `Tokens` rows of x: the sums stay in registers, and each w that was
/// read and converted serves all tokens of the tile.
template <class Isa, class Weight, std::size_t Rows, std::size_t Tokens>
struct DotTile {
    Lanes<Isa> sum[Rows][Tokens] = {};

    static void run(DotTask const& task, std::size_t row, std::size_t token) {
        auto const* const w = static_cast<Weight const*>(task.w) + row * task.w_stride;
        std::size_t const x_stride = padded(task.depth);
        float const* const x = task.x + token * x_stride;
        DotTile tile;
        std::size_t k = 0;
        for (; k + lanes <= task.depth; k += lanes) {
            tile.add_products(w + k, task.w_stride, x + k, x_stride);
        }
        if (k < task.depth) {
            Weight rest[Rows][lanes] = {};
            for (std::size_t r = 0; r < Rows; ++r) {
                std::memcpy(rest[r], w + r * task.w_stride + k, (task.depth - k) * sizeof(Weight));
            }
            tile.add_products(rest[0], lanes, x + k, x_stride);
        }
        for (std::size_t t = 0; t < Tokens; ++t) {
            float* const y = task.y + (token + t) * task.y_stride + row;
            for (std::size_t r = 0; r < Rows; ++r) y[r] = add_up(tile.sum[r][t]);
        }
    }

    /// One term for each lane. A part of the lanes after the other needs the fewest registers.
    void add_products(Weight const* w, std::size_t w_stride, float const* x, std::size_t x_stride) {
        for (std::size_t p = 0; p < Lanes<Isa>::parts; ++p) {
            std::size_t const lane = p * Isa::width;
            typename Isa::Types::Floats weights[Rows];
            for (std::size_t r = 0; r < Rows; ++r) {
                weights[r] = load<Isa>(w + r * w_stride + lane);
            }
            for (std::size_t t = 0; t < Tokens; ++t) {
                auto const input = load<Isa>(x + t * x_stride + lane);
                for (std::size_t r = 0; r < Rows; ++r) sum[r][t].part[p] += input * weights[r];
            }
        }
    }
};

/// Rows of w that pass before the next tokens: the tile's part of x stays in the first cache
/// meanwhile, and the rows are still in the second when they are read again.
constexpr std::size_t rows_per_block = 16;

/// `Tokens` tokens with some rows of w.
template <class Isa, class Weight, std::size_t Tokens>
void dot_rows(DotTask const& task, Range const& rows, std::size_t token) {
    constexpr std::size_t tile = Tokens == 1 ? 4 : Isa::tile_rows;
    std::size_t row = rows.begin;
    for (; row + tile <= rows.end; row += tile) {
        DotTile<Isa, Weight, tile, Tokens>::run(task, row, token);
    }
    for (; row < rows.end; ++row) DotTile<Isa, Weight, 1, Tokens>::run(task, row, token);
}

/// The last tokens, fewer than a tile has.
template <class Isa, class Weight, std::size_t Tokens>
void dot_remaining(DotTask const& task, Range const& rows, std::size_t token) {
    if constexpr (Tokens > 0) {
        if (task.tokens - token == Tokens) {
            dot_rows<Isa, Weight, Tokens>(task, rows, token);
        } else {
            dot_remaining<Isa, Weight, Tokens - 1>(task, rows, token);
        }
    }
}

template <class Isa, class Weight>
void dot_with(DotTask const& task) {
    constexpr std::size_t tile = Isa::tile_tokens;
    for (std::size_t row = 0; row < task.rows; row += rows_per_block) {
        std::size_t const left = task.rows - row;
        Range const rows{row, row + (left < rows_per_block ? left : rows_per_block)};
        std::size_t token = 0;
        for (; token + tile <= task.tokens; token += tile) {
            dot_rows<Isa, Weight, tile>(task, rows, token);
        }
        dot_remaining<Isa, Weight, tile - 1>(task, rows, token);
    }
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
        case DType::f8e4m3:
            return;  // is nowhere without its scales
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
        case DType::f8e4m3:
            return;
    }
}

}  // namespace tesserank::kernels::kokkos::isa
