#pragma once

#include "parallel/collective_call.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

namespace tesserank::parallel {

/// The last collectives that this rank has called. One thread calls, any other may look; a call
/// costs some tens of nanoseconds and allocates nothing.
class CollectiveRing {
  public:
    static constexpr std::size_t capacity = 64;

    /// What the rank does about collectives at this moment.
    enum class State : std::uint8_t {
        outside,  ///< it is in none
        inside,   ///< of the newest record
        queued,   ///< it waits for its device, which may wait for other ranks
    };
    struct Snapshot {
        State state = State::outside;
        std::uint64_t calls = 0;                       ///< so far
        std::array<CollectiveRecord, capacity> slots;  ///< call n lies at n % capacity

        /// nullptr when there has been none of this number, or it is forgotten.
        CollectiveRecord const* find(std::uint64_t number) const {
            bool const kept = number >= 1 && number <= calls && number + capacity > calls;
            return kept ? &slots[number % capacity] : nullptr;
        }
    };

    /// Calls within a call are its own matter. Errors: what the check throws.
    void begin(CollectiveCall const& call);
    void end() noexcept;
    /// This rank has waited so many seconds for what it queued; 0: no longer.
    void wait_for_queued(double seconds) noexcept;

    State state() const;
    Snapshot snapshot() const;

    /// Is called at the begin of each call that is to come; none: nothing is checked.
    void set_check(std::function<void(CollectiveRecord const&)> check) {
        check_ = std::move(check);
    }

  private:
    using Clock = std::chrono::steady_clock;
    void set(State state) noexcept;

    Clock::time_point start_ = Clock::now();
    std::function<void(CollectiveRecord const&)> check_;
    int depth_ = 0;  ///< of calls within calls
    mutable std::mutex mutex_;
    Snapshot now_;
};

}  // namespace tesserank::parallel
