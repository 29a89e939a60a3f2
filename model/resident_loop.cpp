#include "model/resident_loop.hpp"

#include "kernels/error.hpp"
#include "model/candidates.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <thread>

namespace tesserank::model {
namespace {

using kernels::DecodeOutput;
using kernels::DecodeTable;
using kernels::DeviceSpan;
using kernels::TokenLogit;
using Clock = std::chrono::steady_clock;

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

}  // namespace

ResidentLoop::ResidentLoop(Transformer& model, parallel::MpiCommunicator& ranks, StaticBatch& batch,
                           Chooser* chooser, ResidentTerms const& terms,
                           std::vector<double>* host_seconds)
    : model_{model},
      device_{*model.backend().resident_decode()},
      hosts_{ranks},
      batch_{batch},
      chooser_{chooser},
      terms_{terms},
      table_{model, batch, chooser, terms},
      host_seconds_{host_seconds} {}

void ResidentLoop::run(std::span<std::pair<std::size_t, std::int32_t> const> sequences) {
    for (auto const& [index, token] : sequences) {
        sequences_.push_back({.index = index, .newest = token, .chosen = 1});
    }
    while (!sequences_.empty()) {
        table_.write(sequences_);
        run_table();
        std::erase_if(sequences_, &DecodingSequence::ended);
    }
}

/// Until no sequence runs, or so few that a smaller table will do.
void ResidentLoop::run_table() {
    recording_.reset();
    last_replay_.reset();
    context_ = queued_ = taken_ = 0;
    queue_step();
    while (queued_ > taken_) {
        bool const fits = running() > 0 && decode_bucket(running()) == table_.rows();
        if (fits && queued_ - taken_ < DecodeMemory::landings && tokens_left() > queued_ - taken_) {
            queue_step();
        }
        take_step();
    }
}

void ResidentLoop::queue_step() {
    bool const first = queued_ == 0;
    std::size_t const context = next_context();
    if (context > context_) {
        context_ = std::max(model_.options().shortest_context, std::bit_ceil(context));
        recording_.reset();
        last_replay_.reset();
    }
    if (first) {
        // What allocates or connects when it is first used must do so outside of a recording.
        step();
    } else {
        if (recording_ == nullptr) recording_ = device_.record([this] { step(); });
        recording_->replay();
        note_replay();
    }
    auto const results = table_.results();
    model_.decode_memory().landing(queued_).start(results.data(), results.size());
    ++queued_;
}

/// Queues operations and nothing else: it is recorded.
void ResidentLoop::step() {
    for (auto const& block : table_.blocks()) {
        auto const& table = block.table;
        auto const listed = [&](DeviceSpan<kernels::Segment const> list) {
            return kernels::Segments{.list = list, .longest = 1, .context = context_};
        };
        auto const states = model_.forward(
            DeviceStep{.phase = Step::Phase::decode,
                       .ids = table.ids,
                       .all = listed(table.segments),
                       .own = listed(model_.owners() > 1 ? table.own : table.segments),
                       .cos_sin = table.cos_sin,
                       .deal = block.deal});
        for_logit_blocks(model_, states, table.rows.size,
                         [&](LogitBlock const& logits) { choose(block, logits); });
        device_.advance(block.chosen, table);
    }
}

/// On the choosing rank; the others learn the tokens.
void ResidentLoop::choose(DecodeBlock const& block, LogitBlock const& logits) {
    auto const chosen = block.chosen.from(logits.first, logits.count);
    std::size_t const count = candidates_of(block, logits);
    kernels::ChoiceSource source;
    if (model_.ranks().size() == 1) {
        // However a single rank's part is called, it is the whole.
        source.logits = parallel::local_of(logits.local);
    } else if (count > 0 && needs_exchange(layout_of(logits.local))) {
        source = candidates(logits, count);
    } else {
        source.logits = model_.whole_logits(logits.local).local;
    }
    if (chooser_ != nullptr) {
        std::size_t const top = block.top.size / block.chosen.size;
        device_.choose(source, rows_of(block.table, logits.first, logits.count), chosen, top,
                       block.top.from(logits.first * top, logits.count * top));
    }
    model_.ranks().broadcast(bytes_of(chosen), choosing_rank);
}

/// How many candidates each row needs; 0 when one of them needs all.
std::size_t ResidentLoop::candidates_of(DecodeBlock const& block, LogitBlock const& logits) const {
    std::size_t most = 1;
    std::size_t const end = std::min(logits.first + logits.count, block.sequences.size());
    for (std::size_t row = logits.first; row < end; ++row) {
        auto const count = batch_.sequence(block.sequences[row]).candidates;
        if (count == 0) return 0;
        most = std::max(most, count);
    }
    return most;
}

/// The most likely tokens of each row, from all ranks on the choosing one, in one message. Each
/// rank sends, for each of its rows, 8 bytes for a candidate and for the sum.
kernels::ChoiceSource ResidentLoop::candidates(LogitBlock const& logits, std::size_t count) {
    auto& ranks = model_.ranks();
    std::vector<std::size_t> bytes;
    std::size_t rows = 0;
    for (int rank = 0; rank < ranks.size(); ++rank) {
        auto const share = logit_share(logits.local, rank);
        bytes.push_back(resident_candidate_bytes(share.rows.count, count));
        rows += share.rows.count;
    }
    // Rank 0's part comes first, so that it lies where all of them come together.
    static_assert(choosing_rank == 0);
    std::size_t const here = chooser_ != nullptr ? rows : 0;
    auto const share = logit_share(logits.local, ranks.rank());
    auto const& memory = model_.decode_memory();
    auto const all = memory.get<TokenLogit>(DecodePiece::candidates, here * (count + 1));
    auto const mine =
        memory.get<TokenLogit>(DecodePiece::candidates, share.rows.count * (count + 1));
    if (share.rows.count > 0) {
        device_.top_logits(parallel::local_of(logits.local), count,
                           static_cast<std::int32_t>(share.columns.begin), mine);
    }
    ranks.gather(bytes_of(mine), bytes, bytes_of(all), choosing_rank);
    return {.logits = {}, .candidates = all, .parts = rows / logits.count, .per_part = count};
}

void ResidentLoop::take_step() {
    auto& landing = model_.decode_memory().landing(taken_);
    wait_for(landing);
    auto const results = table_.read(landing.wait());
    ++taken_;
    bool const text_may_end = text_may_end_one();
    std::vector<std::uint32_t> ended;
    for (std::size_t row = 0; row < sequences_.size(); ++row) {
        auto& sequence = sequences_[row];
        if (sequence.ended) continue;
        auto const& chosen = results.chosen[row];
        sequence.newest = chosen.token;
        ++sequence.chosen;
        sequence.ended = results.rows[row].ended != 0;
        if (chooser_ == nullptr) continue;
        bool const last = chooser_->append(sequence.index, {chosen.token, chosen.logprob},
                                           results.top.subspan(row * terms_.top, terms_.top));
        kernels::require(last || !sequence.ended, "the device ended a sequence that goes on");
        if (last && !sequence.ended) ended.push_back(static_cast<std::uint32_t>(row));
    }
    if (!text_may_end) {
        kernels::require(ended.empty(), "the device goes on with a sequence that has ended");
        return;
    }
    for (auto const row : share_ended(std::move(ended))) {
        sequences_[row].ended = true;
        table_.end(row);
    }
}

/// Gives the choosing rank's rows to every rank. Collective.
std::vector<std::uint32_t> ResidentLoop::share_ended(std::vector<std::uint32_t> rows) {
    auto count = static_cast<std::uint32_t>(rows.size());
    hosts_.broadcast(std::as_writable_bytes(std::span(&count, 1)), choosing_rank);
    rows.resize(count);
    if (count > 0) hosts_.broadcast(std::as_writable_bytes(std::span(rows)), choosing_rank);
    return rows;
}

/// From one replay to the next, without the waiting in between. Not where something else was
/// recorded meanwhile.
void ResidentLoop::note_replay() {
    auto const now = Clock::now();
    if (last_replay_ && host_seconds_ != nullptr) {
        host_seconds_->push_back(std::chrono::duration<double>(now - *last_replay_).count() -
                                 waited_);
    }
    last_replay_ = now;
    waited_ = 0.0;
}

/// Polled, so that a rank that failed does not leave this one waiting for good.
void ResidentLoop::wait_for(kernels::Landing& landing) {
    constexpr std::chrono::milliseconds between_checks(1);
    auto const start = Clock::now();
    auto next_check = start + between_checks;
    while (!landing.arrived()) {
        std::this_thread::yield();
        auto const now = Clock::now();
        if (now < next_check) continue;
        model_.ranks().check(std::chrono::duration<double>(now - start).count());
        next_check = now + between_checks;
    }
    // What failed may look as if it had ended.
    model_.ranks().check(0.0);
    waited_ += std::chrono::duration<double>(Clock::now() - start).count();
}

std::size_t ResidentLoop::tokens_left() const {
    std::size_t most = 0;
    for (auto const& sequence : sequences_) {
        if (sequence.ended) continue;
        most = std::max(most, batch_.sequence(sequence.index).max_new_tokens - sequence.chosen);
    }
    return most;
}

std::size_t ResidentLoop::running() const {
    return static_cast<std::size_t>(
        std::ranges::count(sequences_, false, &DecodingSequence::ended));
}

bool ResidentLoop::text_may_end_one() const {
    return std::ranges::any_of(sequences_, [this](DecodingSequence const& sequence) {
        return !sequence.ended && terms_.stop_strings[sequence.index];
    });
}

std::size_t ResidentLoop::next_context() const {
    std::size_t most = 0;
    for (auto const& sequence : sequences_) {
        if (sequence.ended) continue;
        most = std::max(most, batch_.sequence(sequence.index).prompt.size() + sequence.chosen);
    }
    return most + queued_ - taken_;
}

}  // namespace tesserank::model
