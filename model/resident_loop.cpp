#include "model/resident_loop.hpp"

#include "kernels/error.hpp"

#include <algorithm>
#include <bit>
#include <chrono>

namespace tesserank::model {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

ResidentLoop::ResidentLoop(Transformer& model, parallel::MpiCommunicator& ranks, StaticBatch& batch,
                           Chooser* chooser, ResidentTerms const& terms,
                           std::vector<double>* host_seconds)
    : model_{model},
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
    queued_ = taken_ = 0;
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
    auto& recorded = model_.recorded_steps();
    bool const first = queued_ == 0;
    std::size_t const context = next_context();
    if (first || context > step_.context) {
        step_ = table_.step(std::max(model_.options().shortest_context, std::bit_ceil(context)));
        recording_ = recorded.find(step_);
        last_replay_.reset();
    }
    if (first && recording_ == nullptr) {
        // What allocates or connects when it is first used must do so outside of a recording.
        step_.queue(model_);
    } else {
        if (recording_ == nullptr) recording_ = &recorded.add(step_, record(step_));
        recording_->replay();
        note_replay();
    }
    auto const results = table_.results();
    model_.decode_memory().landing(queued_).start(results.data(), results.size());
    ++queued_;
}

/// The recording outlives this loop.
std::unique_ptr<kernels::Recording> ResidentLoop::record(ResidentStep const& step) {
    return model_.backend().resident_decode()->record(
        [model = &model_, step] { step.queue(*model); });
}

void ResidentLoop::take_step() {
    auto const start = Clock::now();
    auto const landed = model_.decode_memory().landing(taken_).wait();
    // What failed may look as if it had ended.
    model_.ranks().check(0.0);
    waited_ += std::chrono::duration<double>(Clock::now() - start).count();
    auto const results = table_.read(landed);
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
