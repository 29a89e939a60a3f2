#pragma once

#include "kernels/kokkos/isa/dot.hpp"
#include "kernels/kokkos/isa/exponential.hpp"

namespace tesserank::kernels::kokkos::isa {

// Online softmax: keys and values are read once, block by block. A row keeps the largest score so
// far and sums relative to it; when a block brings a larger one, what was summed is scaled down.
// Source: Milakov and Gimelshein 2018, https://arxiv.org/abs/1805.02867

/// A block of positions and what one row sees of it, relative to its start.
struct Block {
    std::size_t first = 0;
    std::size_t count = 0;
};
template <class Isa>
Range visible_in(Block const& block, Range const& visible) {
    std::size_t const end = block.first + block.count;
    std::size_t const from = visible.begin > block.first ? visible.begin : block.first;
    std::size_t const to = visible.end < end ? visible.end : end;
    return from < to ? Range{from - block.first, to - block.first} : Range{};
}

template <class Isa>
float largest_of(float const* values, std::size_t begin, std::size_t end) {
    float largest = values[begin];
    for (std::size_t i = begin + 1; i < end; ++i) {
        largest = values[i] > largest ? values[i] : largest;
    }
    return largest;
}

template <class Isa>
float exponential_of(float x) {
    typename Isa::Types::Floats value = {};
    value[0] = x;
    return exponential<Isa>(value)[0];
}

/// scores [positions_per_block] = e^(score - largest) where the row sees, else 0; returns their
/// sum.
template <class Isa>
float weigh(float* scores, Range const& seen, float largest) {
    float const masked = -__builtin_inff();
    for (std::size_t i = 0; i < seen.begin; ++i) scores[i] = masked;
    for (std::size_t i = seen.end; i < positions_per_block; ++i) scores[i] = masked;
    Lanes<Isa> sum = {};
    for (std::size_t i = 0; i < positions_per_block; i += lanes) {
        Lanes<Isa> weights = load_lanes<Isa>(scores + i);
        for (std::size_t p = 0; p < Lanes<Isa>::parts; ++p) {
            weights.part[p] = exponential<Isa>(weights.part[p] - largest);
            sum.part[p] += weights.part[p];
        }
        store_lanes(scores + i, weights);
    }
    return add_up(sum);
}

/// Turns one row's scores of a block into weights and scales its running sums.
template <class Isa>
void update_row(AttentionTask const& task, std::size_t row, Range const& seen, bool first_block) {
    float* const scores = task.scores + row * positions_per_block;
    float* const state = task.state + row * 2;
    float* const y = task.y + row * padded(task.head_dim);
    if (seen.begin == seen.end) {
        for (std::size_t i = 0; i < positions_per_block; ++i) scores[i] = 0.0F;
        return;
    }
    for (std::size_t i = seen.begin; i < seen.end; ++i) scores[i] *= task.scale;
    float const largest_here = largest_of<Isa>(scores, seen.begin, seen.end);
    float const before = state[0];
    float const largest = first_block || largest_here > before ? largest_here : before;
    float const sum = weigh<Isa>(scores, seen, largest);
    float const shrink = first_block ? 0.0F : exponential_of<Isa>(before - largest);
    state[0] = largest;
    state[1] = state[1] * shrink + sum;
    if (shrink != 1.0F && !first_block) {
        for (std::size_t d = 0; d < padded(task.head_dim); ++d) y[d] *= shrink;
    }
}

/// y[row + r] += weights . v for 16 of the head's elements from `d`.
template <class Isa, class Value, std::size_t Rows>
void mix_tile(AttentionTask const& task, Block const& block, std::size_t row, std::size_t d) {
    std::size_t const width = padded(task.head_dim);
    auto const* v = static_cast<Value const*>(task.v) + block.first * task.kv_stride + d;
    float const* const weights = task.scores + row * positions_per_block;
    float* const y = task.y + row * width + d;
    Lanes<Isa> sum[Rows];
    for (std::size_t r = 0; r < Rows; ++r) sum[r] = load_lanes<Isa>(y + r * width);
    bool const whole = d + lanes <= task.head_dim;
    for (std::size_t i = 0; i < block.count; ++i, v += task.kv_stride) {
        auto const value = whole ? load_lanes<Isa>(v) : load_some<Isa>(v, task.head_dim - d);
        for (std::size_t r = 0; r < Rows; ++r) {
            multiply_add(sum[r], weights[r * positions_per_block + i], value);
        }
    }
    for (std::size_t r = 0; r < Rows; ++r) store_lanes(y + r * width, sum[r]);
}

template <class Isa, class Value>
void mix(AttentionTask const& task, Block const& block) {
    for (std::size_t d = 0; d < task.head_dim; d += lanes) {
        std::size_t row = 0;
        for (; row + 4 <= task.rows; row += 4) mix_tile<Isa, Value, 4>(task, block, row, d);
        for (; row < task.rows; ++row) mix_tile<Isa, Value, 1>(task, block, row, d);
    }
}

template <class Isa, class Key>
void attend_block(AttentionTask const& task, Block const& block) {
    auto const* const k = static_cast<Key const*>(task.k) + block.first * task.kv_stride;
    dot_with<Isa, Key>({.x = task.q,
                        .tokens = task.rows,
                        .dtype = task.dtype,
                        .w = k,
                        .w_stride = task.kv_stride,
                        .rows = block.count,
                        .depth = task.head_dim,
                        .y = task.scores,
                        .y_stride = positions_per_block});
    for (std::size_t row = 0; row < task.rows; ++row) {
        Range const& visible = task.visible[row];
        bool const first = visible.begin >= block.first;
        update_row<Isa>(task, row, visible_in<Isa>(block, visible), first);
    }
    mix<Isa, Key>(task, block);
}

template <class Isa, class Key>
void attend_with(AttentionTask const& task) {
    std::size_t const width = padded(task.head_dim);
    Range all = task.visible[0];
    for (std::size_t row = 1; row < task.rows; ++row) {
        Range const& visible = task.visible[row];
        if (visible.begin < all.begin) all.begin = visible.begin;
        if (visible.end > all.end) all.end = visible.end;
    }
    std::memset(task.y, 0, task.rows * width * sizeof(float));
    std::memset(task.state, 0, task.rows * 2 * sizeof(float));
    for (std::size_t first = all.begin / positions_per_block * positions_per_block; first < all.end;
         first += positions_per_block) {
        std::size_t const left = all.end - first;
        attend_block<Isa, Key>(task,
                               {first, left < positions_per_block ? left : positions_per_block});
    }
    for (std::size_t row = 0; row < task.rows; ++row) {
        float const share = 1.0F / task.state[row * 2 + 1];
        for (std::size_t d = 0; d < width; ++d) task.y[row * width + d] *= share;
    }
}

template <class Isa>
void attend(AttentionTask const& task) {
    if (task.dtype == DType::bf16) {
        attend_with<Isa, BFloat16>(task);
    } else {
        attend_with<Isa, float>(task);
    }
}

}  // namespace tesserank::kernels::kokkos::isa
