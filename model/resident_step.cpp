#include "model/resident_step.hpp"

#include "model/candidates.hpp"
#include "model/logits.hpp"
#include "model/transformer.hpp"

#include <span>

namespace tesserank::model {
namespace {

using kernels::ChoiceSource;
using kernels::DecodeTable;
using kernels::DeviceSpan;
using kernels::TokenLogit;

/// Some rows of a table, for the choice of their tokens.
DecodeTable rows_of(DecodeTable table, std::size_t first, std::size_t count) {
    std::size_t const words = table.seen.size / table.rows.size;
    table.rows = table.rows.from(first, count);
    table.ids = table.ids.from(first, count);
    table.segments = table.segments.from(first, count);
    table.seen = table.seen.from(first * words, count * words);
    table.cos_sin = table.cos_sin.rows_from(first, count);
    table.own = {};
    return table;
}

template <class T>
std::span<std::byte> bytes_of(DeviceSpan<T> span) {
    return {reinterpret_cast<std::byte*>(span.data), span.size * sizeof(T)};
}

/// The most likely tokens of each row, from all ranks on the choosing one, in one message. Each
/// rank sends, for each of its rows, 8 bytes for a candidate and for the sum.
ChoiceSource exchange_candidates(Transformer& model, LogitBlock const& logits, std::size_t count) {
    auto& ranks = model.ranks();
    std::vector<std::size_t> bytes;
    std::size_t rows = 0;
    for (int rank = 0; rank < ranks.size(); ++rank) {
        auto const share = logit_share(logits.local, rank);
        bytes.push_back(resident_candidate_bytes(share.rows.count, count));
        rows += share.rows.count;
    }
    // Rank 0's part comes first, so that it lies where all of them come together.
    static_assert(choosing_rank == 0);
    std::size_t const here = ranks.rank() == choosing_rank ? rows : 0;
    auto const share = logit_share(logits.local, ranks.rank());
    auto const& memory = model.decode_memory();
    auto const all = memory.get<TokenLogit>(DecodePiece::candidates, here * (count + 1));
    auto const mine =
        memory.get<TokenLogit>(DecodePiece::candidates, share.rows.count * (count + 1));
    if (share.rows.count > 0) {
        model.backend().resident_decode()->top_logits(
            parallel::local_of(logits.local), count, static_cast<std::int32_t>(share.columns.begin),
            mine);
    }
    ranks.gather(bytes_of(mine), bytes, bytes_of(all), choosing_rank);
    return {.logits = {}, .candidates = all, .parts = rows / logits.count, .per_part = count};
}

ChoiceSource source_of(Transformer& model, LogitBlock const& logits, std::size_t candidates) {
    if (model.ranks().size() == 1) {
        // However a single rank's part is called, it is the whole.
        return {.logits = parallel::local_of(logits.local)};
    }
    if (candidates > 0 && needs_exchange(layout_of(logits.local))) {
        return exchange_candidates(model, logits, candidates);
    }
    return {.logits = model.whole_logits(logits.local).local};
}

/// On the choosing rank; the others learn the tokens.
void choose(Transformer& model, DecodeBlock const& block, std::size_t top,
            LogitBlock const& logits) {
    auto const first = logits.first, count = logits.count;
    auto const chosen = block.chosen.from(first, count);
    std::size_t const candidates = block.candidates[first / model.options().max_logit_rows];
    auto const source = source_of(model, logits, candidates);
    if (model.ranks().rank() == choosing_rank) {
        model.backend().resident_decode()->choose(source, rows_of(block.table, first, count),
                                                  chosen, top,
                                                  block.top.from(first * top, count * top));
    }
    model.ranks().broadcast(bytes_of(chosen), choosing_rank);
}

}  // namespace

void ResidentStep::queue(Transformer& model) const {
    for (auto const& block : blocks) {
        auto const& table = block.table;
        auto const listed = [&](DeviceSpan<kernels::Segment const> list) {
            return kernels::Segments{.list = list, .longest = 1, .context = context};
        };
        auto const states =
            model.forward(DeviceStep{.phase = Step::Phase::decode,
                                     .ids = table.ids,
                                     .all = listed(table.segments),
                                     .own = listed(model.owners() > 1 ? table.own : table.segments),
                                     .cos_sin = table.cos_sin,
                                     .deal = block.deal});
        for_logit_blocks(model, states, table.rows.size,
                         [&](LogitBlock const& logits) { choose(model, block, top, logits); });
        model.backend().resident_decode()->advance(block.chosen, table);
    }
}

}  // namespace tesserank::model
