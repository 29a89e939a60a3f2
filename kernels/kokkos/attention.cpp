#include "kernels/contracts.hpp"
#include "kernels/kokkos/kokkos_backend.hpp"
#include "kernels/kokkos/parallel_for.hpp"
#include "kernels/rows.hpp"

#include <algorithm>
#include <concepts>

namespace tesserank::kernels::kokkos {
namespace {

/// Queries of one sequence that share a kv head: `tokens` tokens times the heads of the group.
struct Work {
    Segment const* segment = nullptr;
    std::size_t first_token = 0;
    std::size_t tokens = 0;
    std::size_t kv_head = 0;
    std::size_t first_head = 0;
    std::size_t heads = 0;

    std::size_t rows() const { return tokens * heads; }
};

/// Queries packed together: enough to reuse keys and values, few enough to stay in the cache.
constexpr std::size_t rows_per_work = 32;

std::vector<Work> split(std::span<Segment const> segments, AttentionShape const& shape) {
    std::vector<Work> all;
    for (auto const& segment : segments) {
        for (std::size_t head = 0; head < shape.query_heads;) {
            std::size_t const query = shape.first_query + head;
            std::size_t const heads = std::min(shape.queries_per_kv - query % shape.queries_per_kv,
                                               shape.query_heads - head);
            std::size_t const step = std::max<std::size_t>(1, rows_per_work / heads);
            for (std::size_t token = 0; token < segment.tokens; token += step) {
                all.push_back({.segment = &segment,
                               .first_token = token,
                               .tokens = std::min(step, segment.tokens - token),
                               .kv_head = query / shape.queries_per_kv,
                               .first_head = head,
                               .heads = heads});
            }
            head += heads;
        }
    }
    return all;
}

/// Scratch memory of one piece of work, carved from one block of floats.
struct Scratch {
    float* q = nullptr;
    float* y = nullptr;
    float* scores = nullptr;
    float* state = nullptr;
    isa::Range* visible = nullptr;

    Scratch(std::byte* memory, std::size_t rows, std::size_t width) {
        q = reinterpret_cast<float*>(memory);
        y = q + rows * width;
        scores = y + rows * width;
        state = scores + rows * isa::positions_per_block;
        visible = reinterpret_cast<isa::Range*>(state + rows * 2);
    }
    static std::size_t bytes(std::size_t rows, std::size_t width) {
        std::size_t const floats = 2 * width + isa::positions_per_block + 2;
        return rows * (floats * sizeof(float) + sizeof(isa::Range));
    }
};

/// A size that becomes whatever type this version of Kokkos wants: int before 4.6, then size_t.
struct AnySize {
    std::size_t value;
    template <std::integral Integer>
    operator Integer() const {
        return static_cast<Integer>(value);
    }
};

/// The operands of one call.
struct Call {
    isa::KernelTable const* kernels;
    ConstTensorView q;
    contracts::CacheViews cache;
    AttentionShape shape;
    TensorView y;

    std::byte const* head_of(ConstTensorView const& view, Work const& work) const {
        std::size_t const element =
            work.segment->cache_row * view.stride + work.kv_head * shape.head_dim;
        return view.data + element * size_of(view.dtype);
    }

    void load_queries(Work const& work, Scratch const& scratch) const {
        std::size_t const width = isa::padded(shape.head_dim);
        for (std::size_t row = 0; row < work.rows(); ++row) {
            std::size_t const token = work.first_token + row / work.heads;
            std::size_t const head = work.first_head + row % work.heads;
            float* const to = scratch.q + row * width;
            load_row(q.cols_from(head * shape.head_dim, shape.head_dim), work.segment->row + token,
                     {to, shape.head_dim});
            std::fill(to + shape.head_dim, to + width, 0.0F);
            std::size_t const end =
                work.segment->first_position + (shape.causal ? token + 1 : work.segment->tokens);
            bool const limited = shape.window > 0 && end > shape.window;
            scratch.visible[row] = {limited ? end - shape.window : 0, end};
        }
    }

    void store_results(Work const& work, Scratch const& scratch) const {
        std::size_t const width = isa::padded(shape.head_dim);
        for (std::size_t row = 0; row < work.rows(); ++row) {
            std::size_t const token = work.first_token + row / work.heads;
            std::size_t const head = work.first_head + row % work.heads;
            store_row({scratch.y + row * width, shape.head_dim},
                      y.cols_from(head * shape.head_dim, shape.head_dim),
                      work.segment->row + token);
        }
    }

    void run(Work const& work, std::byte* memory) const {
        Scratch const scratch(memory, work.rows(), isa::padded(shape.head_dim));
        load_queries(work, scratch);
        kernels->attend({.q = scratch.q,
                         .rows = work.rows(),
                         .visible = scratch.visible,
                         .dtype = cache.k.dtype,
                         .k = head_of(cache.k, work),
                         .v = head_of(cache.v, work),
                         .kv_stride = cache.k.stride,
                         .head_dim = shape.head_dim,
                         .scale = shape.scale,
                         .scores = scratch.scores,
                         .state = scratch.state,
                         .y = scratch.y});
        store_results(work, scratch);
    }
};

}  // namespace

void KokkosBackend::attend(ConstTensorView q, contracts::CacheViews const& cache,
                           Segments const& segments, AttentionShape const& shape, TensorView y) {
    contracts::attention(q, cache, shape, y);
    contracts::segments_inside(segments, q.rows, cache.k.rows);
    auto const all = split({segments.list.data, segments.list.size}, shape);
    if (all.empty() || shape.head_dim == 0) return;
    std::size_t rows = 0;
    for (auto const& work : all) rows = std::max(rows, work.rows());
    std::size_t const bytes = Scratch::bytes(rows, isa::padded(shape.head_dim));

    using Policy = Kokkos::TeamPolicy<HostSpace, Kokkos::Schedule<Kokkos::Dynamic>>;
    Call const call{kernels_, q, cache, shape, y};
    Work const* const works = all.data();
    auto const policy = Policy(static_cast<int>(all.size()), 1)
                            .set_scratch_size(0, Kokkos::PerTeam(AnySize{bytes + 64}));
    Kokkos::parallel_for("attention", policy, [=](Policy::member_type const& team) {
        void* const memory =
            team.team_scratch(0).get_shmem_aligned(static_cast<std::ptrdiff_t>(bytes), 64);
        call.run(works[team.league_rank()], static_cast<std::byte*>(memory));
    });
    HostSpace().fence();
}

void KokkosBackend::attention_prefill(ConstTensorView q, ConstTensorView k_cache,
                                      ConstTensorView v_cache, Segments const& segments,
                                      AttentionShape const& shape, TensorView y) {
    attend(q, {k_cache, v_cache}, segments, shape, y);
}

void KokkosBackend::attention_decode(ConstTensorView q, ConstTensorView k_cache,
                                     ConstTensorView v_cache, Segments const& segments,
                                     AttentionShape const& shape, TensorView y) {
    contracts::single_tokens(segments);
    attend(q, {k_cache, v_cache}, segments, shape, y);
}

void KokkosBackend::store_kv(ConstTensorView k, ConstTensorView v, Segments const& segments,
                             TensorView k_cache, TensorView v_cache) {
    contracts::store_kv(k, v, {k_cache, v_cache});
    contracts::segments_inside(segments, k.rows, k_cache.rows);
    for (auto const& segment : std::span(segments.list.data, segments.list.size)) {
        std::size_t const first = segment.cache_row + segment.first_position;
        parallel_for("store_kv", segment.tokens, [=](std::size_t i) {
            thread_local std::vector<float> row;
            row.resize(k.cols);
            load_row(k, segment.row + i, row);
            store_row(row, k_cache, first + i);
            load_row(v, segment.row + i, row);
            store_row(row, v_cache, first + i);
        });
    }
}

}  // namespace tesserank::kernels::kokkos
