#include "parallel/collective_ring.hpp"

#include "kernels/phase.hpp"
#include "kernels/trace.hpp"

namespace tesserank::parallel {

using kernels::TraceRange;

void CollectiveRing::begin(CollectiveCall const& call) {
    if (depth_++ > 0) return;
    CollectiveRecord* record = nullptr;
    {
        std::lock_guard const lock(mutex_);
        now_.state = State::inside;
        record = &now_.slots[++now_.calls % capacity];
        record->number = now_.calls;
        record->call = call;
        record->seconds = std::chrono::duration<double>(Clock::now() - start_).count();
        record->phase.set(kernels::Phase::current());
        record->module.set(TraceRange::current());
        record->layouts.set(TraceRange::current(TraceRange::Level::layout));
    }
    kernels::note_progress();
    if (!check_) return;
    try {
        check_(*record);
    } catch (...) {
        end();
        throw;
    }
}

void CollectiveRing::end() noexcept {
    if (--depth_ == 0) set(State::outside);
}

void CollectiveRing::wait_for_queued(double seconds) noexcept {
    bool const waits = seconds > 0.0;
    if (depth_ == 0) set(waits ? State::queued : State::outside);
    if (!waits) kernels::note_progress();  // what is queued may come so fast that nobody waits
}

void CollectiveRing::set(State state) noexcept {
    {
        std::lock_guard const lock(mutex_);
        if (now_.state == state) return;
        now_.state = state;
    }
    kernels::note_progress();
}

CollectiveRing::State CollectiveRing::state() const {
    std::lock_guard const lock(mutex_);
    return now_.state;
}

CollectiveRing::Snapshot CollectiveRing::snapshot() const {
    std::lock_guard const lock(mutex_);
    return now_;
}

}  // namespace tesserank::parallel
