#include "model/resident_table.hpp"

#include "kernels/random.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::model {
namespace {

using kernels::DecodeOutput;
using kernels::DecodeRow;
using kernels::Segment;
using kernels::TokenLogprob;
using parallel::Partition;
using Piece = DecodePiece;

/// Rows without a sequence stand behind the others: they are the last owner's that has a sequence,
/// and with it a cache.
Partition with_idle_rows(Partition const& deal, std::size_t rows) {
    auto shares = deal.counts();
    auto last = shares.size() - 1;
    while (last > 0 && shares[last] == 0) --last;
    shares[last] += rows - deal.units();
    return Partition::of_shares(shares);
}

void fill_up(std::vector<Segment>& segments, std::size_t first, std::size_t rows) {
    while (segments.size() < first + rows) segments.push_back({.row = segments.size() - first});
}

template <class T>
void append(std::vector<T>& all, std::vector<T> const& more) {
    all.insert(all.end(), more.begin(), more.end());
}

}  // namespace

/// What is written, of all rows.
struct ResidentTable::Host {
    std::vector<DecodeRow> rows;
    std::vector<std::int32_t> ids, stop_ids;
    std::vector<Segment> segments, own;
    std::vector<float> cos_sin, frequencies;
};

std::size_t ResidentTable::seen_words() const {
    return chooser_ != nullptr && terms_.penalties ? (model_.config().vocabulary + 31) / 32 : 0;
}

std::span<std::byte const> ResidentTable::results() const {
    std::size_t const bytes =
        rows_ * (sizeof(DecodeRow) + sizeof(DecodeOutput) + top_count() * sizeof(TokenLogprob));
    auto const all = model_.decode_memory().get<std::byte const>(Piece::results, bytes);
    return {all.data, all.size};
}

ResidentTable::Results ResidentTable::read(std::span<std::byte const> results) const {
    auto const* const rows = reinterpret_cast<DecodeRow const*>(results.data());
    auto const* const chosen = reinterpret_cast<DecodeOutput const*>(rows + rows_);
    auto const* const top = reinterpret_cast<TokenLogprob const*>(chosen + rows_);
    return {.rows = {rows, rows_}, .chosen = {chosen, rows_}, .top = {top, rows_ * top_count()}};
}

void ResidentTable::write(std::span<DecodingSequence const> running) {
    rows_ = decode_bucket(running.size());
    blocks_.clear();
    Host host;
    std::size_t const most = model_.options().max_rows;
    for (std::size_t first = 0; first < rows_; first += most) {
        auto const left = running.subspan(std::min(first, running.size()));
        std::size_t const rows = std::min(most, rows_ - first);
        add_block(host, left.first(std::min(rows, left.size())), rows);
    }
    auto const& frequencies = batch_.frequencies();
    if (frequencies.size() == 1) {
        host.frequencies = frequencies.front();
    } else {
        for (auto const& sequence : running) append(host.frequencies, frequencies[sequence.index]);
    }
    upload(host);
    mark_seen(running);
}

ResidentStep ResidentTable::step(std::size_t context) const {
    return {
        .blocks = blocks_, .context = context, .top = terms_.top, .penalties = terms_.penalties};
}

std::vector<std::size_t> ResidentTable::candidates_of(std::span<DecodingSequence const> running,
                                                      std::size_t rows) const {
    std::vector<std::size_t> of_blocks;
    std::size_t const most = model_.options().max_logit_rows;
    for (std::size_t first = 0; first < rows; first += most) {
        // A single rank needs none.
        std::size_t count = model_.ranks().size() == 1 ? 0 : 1;
        for (std::size_t row = first; row < std::min(first + most, running.size()); ++row) {
            auto const wanted = batch_.sequence(running[row].index).candidates;
            count = wanted == 0 || count == 0 ? 0 : std::max(count, wanted);
        }
        of_blocks.push_back(count);
    }
    return of_blocks;
}

DecodeRow ResidentTable::row_of(Host& host, DecodingSequence const& sequence) const {
    auto const& stop_ids = terms_.stop_ids[sequence.index];
    DecodeRow row{
        .first_stop = static_cast<std::uint32_t>(host.stop_ids.size()),
        .stops = static_cast<std::uint32_t>(stop_ids.size()),
        .most_chosen = static_cast<std::uint32_t>(batch_.sequence(sequence.index).max_new_tokens),
        .chosen = static_cast<std::uint32_t>(sequence.chosen),
        .turn =
            static_cast<std::uint32_t>(batch_.frequencies().size() == 1 ? 0 : host.rows.size())};
    append(host.stop_ids, stop_ids);
    if (chooser_ == nullptr) return row;
    auto const& request = chooser_->request(sequence.index);
    auto const& sampling = request.sampling;
    row.seed = sampling.seed;
    row.stream = kernels::stream_of(request.id);
    row.temperature = sampling.temperature;
    row.top_p = sampling.top_p;
    row.min_p = sampling.min_p;
    row.repetition_penalty = sampling.repetition_penalty;
    row.top_k = static_cast<std::uint32_t>(std::min(sampling.top_k, model_.config().vocabulary));
    return row;
}

void ResidentTable::add_block(Host& host, std::span<DecodingSequence const> running,
                              std::size_t rows) {
    std::vector<std::size_t> sequences;
    std::vector<std::int32_t> newest;
    std::size_t const first = host.rows.size();
    for (auto const& sequence : running) {
        sequences.push_back(sequence.index);
        newest.push_back(sequence.newest);
        batch_.set_length(sequence.index,
                          batch_.sequence(sequence.index).prompt.size() + sequence.chosen - 1);
        host.rows.push_back(row_of(host, sequence));
    }
    auto const step = batch_.decode(sequences, newest);
    host.rows.resize(first + rows, {.ended = 1});
    append(host.ids, step.ids);
    host.ids.resize(first + rows);
    append(host.cos_sin, step.cos_sin);
    host.cos_sin.resize((first + rows) * model_.config().head_dim);
    append(host.segments, step.segments);
    fill_up(host.segments, first, rows);

    DecodeBlock block{.table = {},
                      .deal = with_idle_rows(step.rows_by_owner(), rows),
                      .chosen = {},
                      .top = {},
                      .candidates = candidates_of(running, rows)};
    if (model_.owners() > 1) {
        auto const owner = model_.plan().owner_of(model_.ranks().rank());
        auto const mine = block.deal.of(owner);
        std::size_t const before = host.own.size();
        append(host.own, step.dealt[static_cast<std::size_t>(owner)]);
        fill_up(host.own, before, mine.count);
        block.table.first_own = mine.begin;
    }
    blocks_.push_back(std::move(block));
}

void ResidentTable::upload(Host const& host) {
    auto const& memory = model_.decode_memory();
    auto const put = [&]<class T>(Piece piece, std::vector<T> const& values) {
        auto const place = memory.get<T>(piece, values.size());
        model_.backend().copy_from_host(std::as_bytes(std::span(values)),
                                        reinterpret_cast<std::byte*>(place.data));
        return place;
    };
    auto const rows = put(Piece::results, host.rows);
    auto const ids = put(Piece::ids, host.ids);
    auto const segments = put(Piece::segments, host.segments);
    auto const own = put(Piece::own, host.own);
    put(Piece::stop_ids, host.stop_ids);
    auto const frequencies = put(Piece::frequencies, host.frequencies);
    auto const cos_sin = put(Piece::cos_sin, host.cos_sin);
    auto const seen = memory.get<std::uint32_t>(Piece::seen, rows_ * seen_words());
    // How many there are is no part of a step: batches with other numbers replay it as well.
    auto const stop_ids = memory.get<std::int32_t>(Piece::stop_ids, rows_ * most_stop_ids);
    std::size_t const turns = batch_.frequencies().size() == 1 ? 1 : rows_;
    auto* const chosen = reinterpret_cast<DecodeOutput*>(rows.data + rows_);
    auto* const top = reinterpret_cast<TokenLogprob*>(chosen + rows_);

    auto const& config = model_.config();
    std::size_t const half = config.head_dim / 2;
    std::size_t first = 0, first_own = 0;
    for (auto& block : blocks_) {
        std::size_t const count = block.deal.units();
        auto const mine = model_.owners() > 1
                              ? block.deal.of(model_.plan().owner_of(model_.ranks().rank())).count
                              : 0;
        block.table = {.rows = rows.from(first, count),
                       .ids = ids.from(first, count),
                       .segments = segments.from(first, count),
                       .own = own.from(first_own, mine),
                       .first_own = block.table.first_own,
                       .stop_ids = stop_ids,
                       .seen = seen.from(first * seen_words(), count * seen_words()),
                       .frequencies = kernels::view_of(static_cast<float const*>(frequencies.data),
                                                       turns, half),
                       .rotary_scale = static_cast<float>(config.rope.attention_factor),
                       .cos_sin = kernels::view_of(cos_sin.data + first * config.head_dim, count,
                                                   config.head_dim)};
        block.chosen = {chosen + first, count};
        block.top = {top + first * top_count(), count * top_count()};
        first += count;
        first_own += mine;
    }
}

void ResidentTable::mark_seen(std::span<DecodingSequence const> running) {
    std::size_t const words = seen_words();
    if (words == 0) return;
    std::vector<std::uint32_t> seen(rows_ * words);
    for (std::size_t b = 0; b < running.size(); ++b) {
        for (auto const token : chooser_->tokens_seen(running[b].index)) {
            auto const id = static_cast<std::size_t>(token);
            seen[b * words + id / 32] |= 1U << (id % 32);
        }
    }
    auto const place = model_.decode_memory().get<std::byte>(Piece::seen, seen.size() * 4);
    model_.backend().copy_from_host(std::as_bytes(std::span(seen)), place.data);
}

void ResidentTable::end(std::size_t row) {
    auto const set = [this]<class T>(T& place, T value) {
        model_.backend().copy_from_host(std::as_bytes(std::span(&value, 1)),
                                        reinterpret_cast<std::byte*>(&place));
    };
    auto block = blocks_.begin();
    for (; row >= block->table.rows.size; ++block) row -= block->table.rows.size;
    auto const& table = block->table;
    set(table.rows.data[row].ended, 1U);
    set(table.segments.data[row].tokens, std::size_t{0});
    if (row < table.first_own || row - table.first_own >= table.own.size) return;
    set(table.own.data[row - table.first_own].tokens, std::size_t{0});
}

}  // namespace tesserank::model
