#include "kernels/cuda/attention_panels.cuh"
#include "kernels/cuda/attention_pipeline.cuh"
#include "kernels/cuda/attention_prefill.hpp"
#include "kernels/cuda/attention_softmax.cuh"
#include "kernels/cuda/device/barrier.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/wgmma.cuh"

#include <algorithm>

/// Flash attention on Hopper. One block to a multiprocessor takes one item (128 queries of one
/// head) after the other. Warpgroup 0 keeps copying: queries, keys and values of the item, and of
/// the next while this one is still computed. Warpgroups 1 and 2 have 64 queries each. A warpgroup
/// starts the scores of the next key tile and the sums of this one together and does its softmax
/// beside them; the two take turns in starting products, so that one's softmax meets the other's
/// products.
/// Source: Shah et al. 2024, https://arxiv.org/abs/2407.08608
namespace tesserank::kernels::cuda {
namespace {

constexpr int threads = group_threads * (1 + computing_groups);
constexpr int group_queries = tensor_tile_tokens / computing_groups;
constexpr int copying_registers = 40;
constexpr int computing_registers = 232;
static_assert(group_queries == 64, "a product has 64 rows");
/// What a block of so many threads owns: 65536 registers by threads, in eights.
constexpr int launch_registers = 64 * 1024 / threads / 8 * 8;
static_assert(copying_registers + computing_groups * computing_registers <=
              (1 + computing_groups) * launch_registers);

template <int HeadDim>
struct WgmmaTiles {
    /// Of a key tile. With 256 columns the result takes 128 registers, and the scores get less.
    static constexpr int positions = HeadDim == 256 ? 64 : 128;
    using Queries = Panels<tensor_tile_tokens, HeadDim>;
    using Keys = Panels<positions, HeadDim>;
    /// Of the result. A product is at most 128 columns wide here, and takes whole panels of values:
    /// what lies beyond the last value only reaches columns that are not stored.
    static constexpr int parts = HeadDim > 128 ? 2 : 1;
    static constexpr int stored_columns = HeadDim / parts;
    static constexpr int part_columns = Keys::panels / parts * 64;
    static_assert(parts * stored_columns == HeadDim && stored_columns <= part_columns);
    /// Tiles begin at multiples of 1024 bytes, so that what needs less stands behind them.
    static constexpr int tile_bytes = Queries::bytes + 2 * tile_slots * Keys::bytes;
    static constexpr int shared_bytes = tile_bytes + static_cast<int>(sizeof(Slots));
};

template <int HeadDim>
using Result = float[WgmmaTiles<HeadDim>::parts][WgmmaTiles<HeadDim>::part_columns / 2];

/// The copying warpgroup. Copies are announced two behind the newest, so that three are under way.
template <int HeadDim>
struct Copying {
    using Tiles = WgmmaTiles<HeadDim>;
    using Keys = typename Tiles::Keys;
    static constexpr int behind = 2;

    PrefillCall const& call;
    Slots& slots;
    std::byte* shared;
    Barrier* pending[behind] = {};  ///< not announced yet, older first
    Ring keys{}, values{};
    unsigned items = 0;

    __device__ int thread() const { return static_cast<int>(threadIdx.x % group_threads); }

    __device__ void announce(Barrier* full) {
        if (full == nullptr) return;
        publish_to_products();
        arrive(full);
    }
    __device__ void started(Barrier* full) {
        commit_copies();
        wait_for_copies<behind>();
        announce(pending[0]);
        pending[0] = pending[1];
        pending[1] = full;
    }
    /// Before waiting for what the others can only do with all copies.
    __device__ void finish() {
        wait_for_copies<0>();
        for (Barrier*& full : pending) {
            announce(full);
            full = nullptr;
        }
    }

    __device__ void load_tile(Ring& ring, Slot (&of)[2], std::byte* first, SourceRows const& rows) {
        wait(&of[ring.slot].empty, ring.parity() ^ 1U);
        load_panels<Keys, group_threads>(first + ring.slot * Keys::bytes, rows, thread());
        started(&of[ring.slot].full);
        ring.advance();
    }

    __device__ void load_item(QueryTile const& tile, int head) {
        KeyRange const seen = call.visibility.of_any(tile);
        int const last = (seen.end - 1) / Tiles::positions;
        int const first = seen.begin / Tiles::positions;
        std::byte* const key_slots = shared + Tiles::Queries::bytes;
        std::byte* const value_slots = key_slots + tile_slots * Keys::bytes;
        auto const rows = [&](std::byte const* cache, int index) {
            return positions_of(call, cache, tile, head, index * Tiles::positions);
        };
        wait(&slots.queries_read, items % 2 ^ 1U);
        load_panels<typename Tiles::Queries, group_threads>(shared, queries_of(call, tile, head),
                                                            thread());
        // Announced together with the queries.
        load_tile(keys, slots.keys, key_slots, rows(call.k, last));
        for (int index = last; index > first; --index) {
            load_tile(keys, slots.keys, key_slots, rows(call.k, index - 1));
            load_tile(values, slots.values, value_slots, rows(call.v, index));
        }
        load_tile(values, slots.values, value_slots, rows(call.v, first));
        finish();
        ++items;
    }
};

/// A computing warpgroup.
template <int HeadDim>
struct Computing {
    using Tiles = WgmmaTiles<HeadDim>;
    using Keys = typename Tiles::Keys;
    static constexpr int positions = Tiles::positions;

    PrefillCall const& call;
    Slots& slots;
    std::byte const* shared;
    int group;  ///< 0 or 1
    Ring keys{}, values{};

    /// The groups take turns in starting products; group 0 begins.
    __device__ void wait_for_turn() const { sync_named(1 + group, 2 * group_threads); }
    __device__ void pass_turn() const { arrive_named(1 + (group ^ 1), 2 * group_threads); }

    __device__ __forceinline__ static void release(Barrier& empty) {
        __syncwarp();
        if (threadIdx.x % 32 == 0) arrive(&empty);
    }

    template <class T, std::size_t Count>
    __device__ __forceinline__ static void pin_all(T (&all)[Count]) {
#pragma unroll
        for (std::size_t i = 0; i < Count; ++i) pin(all[i]);
    }

    /// Starts scores = q k^T with the keys of the ring's slot.
    __device__ __forceinline__ void start_scores(float (&scores)[positions / 2]) const {
        std::uint64_t const q = matrix_descriptor(shared + group * group_queries * 128, 16);
        std::uint64_t const k =
            matrix_descriptor(shared + Tiles::Queries::bytes + keys.slot * Keys::bytes, 16);
        pin(scores);
        begin_products();
#pragma unroll
        for (int step = 0; step < HeadDim / 16; ++step) {
            int const in_panel = step % 4 * 32;
            multiply_shared<positions>(
                scores, advanced(q, step / 4 * Tiles::Queries::panel_bytes + in_panel),
                advanced(k, step / 4 * Keys::panel_bytes + in_panel), step > 0);
        }
        commit_products();
    }

    /// Starts result += weights v with the values of the ring's slot.
    __device__ __forceinline__ void start_sums(Result<HeadDim>& result,
                                               std::uint32_t (&weights)[positions / 16][4]) const {
        std::uint64_t const v = matrix_descriptor(
            shared + Tiles::Queries::bytes + (tile_slots + values.slot) * Keys::bytes,
            Keys::panel_bytes);
        pin_all(result);
        pin_all(weights);
        begin_products();
#pragma unroll
        for (int step = 0; step < positions / 16; ++step) {
#pragma unroll
            for (int part = 0; part < Tiles::parts; ++part) {
                multiply_registers<Tiles::part_columns>(
                    result[part], weights[step],
                    advanced(v, step * 2048 + part * 2 * Keys::panel_bytes));
            }
        }
        commit_products();
    }

    __device__ __forceinline__ void compute_item(QueryTile const& tile, int head) {
        int const group_thread = static_cast<int>(threadIdx.x % group_threads);
        int const token = group * group_queries + group_thread / 32 * 16 + group_thread % 32 / 4;
        int const position = tile.first_position + token;
        KeyRange const ranges[2] = {call.visibility.of(position, tile.context),
                                    call.visibility.of(position + 8, tile.context)};
        float const exponent_scale = call.scale * log2_of_e;
        KeyRange const seen = call.visibility.of_any(tile);
        int const last = (seen.end - 1) / positions;
        int const first = seen.begin / positions;
        auto const hide_unseen = [&](float(&scores)[positions / 2], int index) {
            if (!call.visibility.all_see(tile.first_position + group * group_queries, group_queries,
                                         tile.context,
                                         {index * positions, (index + 1) * positions})) {
                hide(scores, ranges, index * positions);
            }
        };

        RunningSoftmax softmax;
        float correction[2];
        float scores[positions / 2];
        std::uint32_t weights[positions / 16][4];
        Result<HeadDim> result = {};
        auto const pack = [&] {
#pragma unroll
            for (int step = 0; step < positions / 16; ++step) {
                pack_weights(scores, step, weights[step]);
            }
        };

        wait(&slots.keys[keys.slot].full, keys.parity());
        wait_for_turn();
        start_scores(scores);
        pass_turn();
        wait_for_products<0>();
        pin(scores);
        release(slots.keys[keys.slot].empty);
        keys.advance();
        hide_unseen(scores, last);
        softmax.weigh(scores, exponent_scale, correction);
        pack();
        for (int index = last - 1; index >= first; --index) {
            wait(&slots.keys[keys.slot].full, keys.parity());
            wait_for_turn();
            start_scores(scores);
            wait(&slots.values[values.slot].full, values.parity());
            start_sums(result, weights);
            pass_turn();
            wait_for_products<1>();
            pin(scores);
            release(slots.keys[keys.slot].empty);
            keys.advance();
            hide_unseen(scores, index);
            softmax.weigh(scores, exponent_scale, correction);
            wait_for_products<0>();
            pin_all(result);
            release(slots.values[values.slot].empty);
            values.advance();
#pragma unroll
            for (int part = 0; part < Tiles::parts; ++part) multiply_rows(result[part], correction);
            pack();
        }
        release(slots.queries_read);
        wait(&slots.values[values.slot].full, values.parity());
        start_sums(result, weights);
        float const normalisers[2] = {softmax.normaliser(0), softmax.normaliser(1)};
        wait_for_products<0>();
        pin_all(result);
        release(slots.values[values.slot].empty);
        values.advance();

#pragma unroll
        for (int part = 0; part < Tiles::parts; ++part) {
            multiply_rows(result[part], normalisers);
            store_result<Tiles::stored_columns>(
                call, tile, token,
                static_cast<std::size_t>(head * HeadDim + part * Tiles::stored_columns),
                result[part]);
        }
    }
};

template <int HeadDim>
__global__ void __launch_bounds__(threads, 1) prefill_wgmma(PrefillCall call) {
    if constexpr (has_group_products) {
        std::byte* const shared = dynamic_shared();
        auto& slots = *reinterpret_cast<Slots*>(shared + WgmmaTiles<HeadDim>::tile_bytes);
        if (threadIdx.x == 0) {
            if (__cvta_generic_to_shared(shared) % 1024 != 0) __trap();
            slots.initialise_all();
        }
        __syncthreads();
        wait_for_previous_grid();
        Items items{call};
        int const group = static_cast<int>(threadIdx.x / group_threads);
        if (group == 0) {
            shrink_registers<copying_registers>();
            Copying<HeadDim> copying{call, slots, shared};
            while (items.next()) copying.load_item(items.tile, items.head);
        } else {
            grow_registers<computing_registers>();
            Computing<HeadDim> computing{call, slots, shared, group - 1};
            if (group == 2) computing.pass_turn();
            while (items.next()) computing.compute_item(items.tile, items.head);
            if (group == 1) computing.wait_for_turn();  // the turn that nobody takes
        }
    } else {
        __trap();  // compiled for another GPU: no result rather than none written
    }
}

template <int HeadDim>
void launch_wgmma(PrefillCall const& call, int multiprocessors, cudaStream_t stream) {
    auto const items = std::size_t{call.tile_count} * static_cast<std::size_t>(call.query_heads);
    auto const blocks = std::min(items, static_cast<std::size_t>(multiprocessors));
    launch_dependent(prefill_wgmma<HeadDim>,
                     LaunchShape{.grid = dim3(static_cast<unsigned>(blocks)),
                                 .block = dim3(threads),
                                 .shared_bytes = WgmmaTiles<HeadDim>::shared_bytes},
                     stream, call);
}

}  // namespace

void attention_prefill_wgmma(PrefillCall const& call, int multiprocessors, cudaStream_t stream) {
    switch (call.head_dim) {
        case 64:
            return launch_wgmma<64>(call, multiprocessors, stream);
        case 80:
            return launch_wgmma<80>(call, multiprocessors, stream);
        case 96:
            return launch_wgmma<96>(call, multiprocessors, stream);
        case 128:
            return launch_wgmma<128>(call, multiprocessors, stream);
        default:
            return launch_wgmma<256>(call, multiprocessors, stream);
    }
}

}  // namespace tesserank::kernels::cuda
