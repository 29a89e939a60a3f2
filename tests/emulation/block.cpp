#include "tests/emulation/block.hpp"

#include "tests/emulation/fault.hpp"
#include "tests/emulation/shared_memory.hpp"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace tesserank::emulation {
namespace {

Block* running_block = nullptr;

bool reversed() {
    char const* const order = std::getenv("TESSERANK_EMULATION_ORDER");
    return order != nullptr && std::string_view(order) == "reverse";
}

char const barrier_name[] = "__syncthreads()";

std::string name(Thread const& thread) {
    return "thread (" + std::to_string(thread.index.x) + ", " + std::to_string(thread.index.y) +
           ", " + std::to_string(thread.index.z) + ")";
}

}  // namespace

Block& Block::current() {
    if (running_block == nullptr) throw Fault("device code runs outside of a kernel");
    return *running_block;
}

Block::Block(std::shared_ptr<Grid const> grid, std::size_t number) : grid_{std::move(grid)} {
    bool const backwards = reversed();
    dim3 const &blocks = grid_->blocks, &threads = grid_->threads;
    std::size_t const last = std::size_t{blocks.x} * blocks.y * blocks.z - 1;
    index_ = index_of(backwards ? last - number : number, blocks);
    threads_.resize(std::size_t{threads.x} * threads.y * threads.z);
    gatherings_.resize((threads_.size() + 31) / 32);
    ended_lanes_.resize(gatherings_.size());
    live_ = threads_.size();
    for (std::size_t i = 0; i < threads_.size(); ++i) {
        Thread& thread = threads_[i];
        thread.index = index_of(i, threads);
        thread.linear = i;
        thread.fiber = Fiber([this, &thread] {
            try {
                grid_->body();
            } catch (Fault const& fault) {
                fault_ = fault.what();
            }
            thread.ended = true;
        });
        if (backwards) {
            ready_.push_front(&thread);
        } else {
            ready_.push_back(&thread);
        }
    }
    become_current();
    prepare_shared_memory(grid_->shared_bytes);
}

Block::~Block() {
    if (running_block == this) running_block = nullptr;
}

void Block::become_current() {
    running_block = this;
    blockIdx = index_;
    gridDim = grid_->blocks;
    blockDim = grid_->threads;
}

void Block::run_until_previous_grid_is_needed() {
    early_ = true;
    while (!ready_.empty() || wake_by_condition()) run_next();
    shared_memory_.assign(dynamic_shared(), dynamic_shared() + grid_->shared_bytes);
}

bool Block::run() {
    become_current();
    if (early_) {
        early_ = false;
        prepare_shared_memory(grid_->shared_bytes);
        std::copy(shared_memory_.begin(), shared_memory_.end(), dynamic_shared());
        for (Thread* const thread : std::exchange(at_previous_grid_, {})) wake(*thread);
    }
    for (Thread* const thread : std::exchange(giving_way_, {})) wake(*thread);
    while (live_ > 0) {
        if (ready_.empty() && !wake_by_condition()) {
            if (!giving_way_.empty()) return false;
            throw Fault(stuck());
        }
        run_next();
    }
    if (!shared_memory_intact()) throw Fault("a thread wrote behind the dynamic shared memory");
    if (grid_->dependent && !waited_for_previous_grid_) {
        throw Fault("launched as dependent, but no thread called wait_for_previous_grid()");
    }
    return true;
}

void Block::run_next() {
    Thread& next = *ready_.front();
    ready_.pop_front();
    enter(next);
    if (!fault_.empty()) throw Fault(fault_);
    if (next.ended) end_of(next);
}

void Block::wait_for_previous_grid() {
    waited_for_previous_grid_ = true;
    if (!early_) return;
    at_previous_grid_.push_back(running_);
    sleep("wait_for_previous_grid()");
}

void Block::give_way() {
    giving_way_.push_back(running_);
    sleep("what another process does");
}

void Block::enter(Thread& thread) {
    running_ = &thread;
    threadIdx = thread.index;
    thread.fiber.enter();
    running_ = nullptr;
}

void Block::sleep(char const* waits_for) {
    running_->waits_for = waits_for;
    Fiber::leave();
}

void Block::wake(Thread& thread) {
    thread.waits_for = nullptr;
    ready_.push_back(&thread);
}

void Block::end_of(Thread& thread) {
    --live_;
    if (!thread.products.groups.empty() || !thread.products.open.empty()) {
        throw Fault(name(thread) + " ended without waiting for its products");
    }
    unsigned const bit = 1U << thread.linear % 32;
    ended_lanes_[thread.linear / 32] |= bit;
    for (Gathering const& gathering : gatherings_[thread.linear / 32]) {
        if (gathering.arrived == 0 || (gathering.mask & bit) == 0) continue;
        throw Fault(name(thread) + " ended while lanes of its warp wait for it at " +
                    gathering.what);
    }
    if (live_ > 0) release_barrier_of_all();
}

void Block::release_barrier_of_all() {
    if (at_barrier_.size() < live_) return;
    for (Thread* const thread : std::exchange(at_barrier_, {})) wake(*thread);
}

void Block::barrier() {
    at_barrier_.push_back(running_);
    release_barrier_of_all();
    sleep(barrier_name);
}

void Block::named_barrier(int id, unsigned threads, char const* wait_for) {
    Barrier& barrier = named_[id];
    if (barrier.arrived == 0) barrier.expected = threads;
    if (barrier.expected != threads) fail("gives another count for a named barrier than others");
    ++barrier.arrived;
    if (wait_for != nullptr) barrier.waiting.push_back(running_);
    if (barrier.arrived == barrier.expected) {
        barrier.arrived = 0;
        for (Thread* const thread : std::exchange(barrier.waiting, {})) wake(*thread);
    }
    if (wait_for != nullptr) sleep(wait_for);
}

unsigned Block::lanes_of_warp(std::size_t warp) const {
    std::size_t const lanes = std::min<std::size_t>(32, threads_.size() - warp * 32);
    return lanes == 32 ? ~0U : (1U << lanes) - 1;
}

void Block::gather(unsigned mask, char const* what, void* payload,
                   void (*together)(unsigned, Payloads const&)) {
    std::size_t const warp = running_->linear / 32, lane = running_->linear % 32;
    if ((mask >> lane & 1U) == 0) fail(std::string("is not in its own mask at ") + what);
    auto& gatherings = gatherings_[warp];
    auto found = std::find_if(gatherings.begin(), gatherings.end(),
                              [&](Gathering const& g) { return g.mask == mask; });
    if (found == gatherings.end()) found = gatherings.insert(found, {.mask = mask});
    if (found->arrived == 0) {
        found->what = what;
        found->payloads = {};
    } else if (found->what != what && std::string_view(found->what) != what) {
        fail(std::string("is at ") + what + " while other lanes of its warp are at " + found->what);
    }
    found->payloads[lane] = payload;
    found->arrived |= 1U << lane;
    unsigned const wanted = mask & lanes_of_warp(warp);
    if (found->arrived != wanted) {
        if ((wanted & ended_lanes_[warp]) != 0) {
            fail(std::string("at ") + what + " for a lane that has ended");
        }
        sleep(what);
        return;
    }
    found->arrived = 0;
    together(wanted, found->payloads);
    for (std::size_t i = 0; i < 32; ++i) {
        if (i != lane && (wanted >> i & 1U) != 0) wake(threads_[warp * 32 + i]);
    }
}

void Block::wait_until(std::function<bool()> condition, char const* what) {
    if (condition()) return;
    running_->condition = std::move(condition);
    sleep(what);
}

bool Block::wake_by_condition() {
    for (Thread& thread : threads_) {
        if (thread.ended || !thread.condition || !thread.condition()) continue;
        thread.condition = nullptr;
        wake(thread);
    }
    return !ready_.empty();
}

std::string Block::stuck() const {
    std::map<std::string, std::vector<Thread const*>> groups;
    for (Thread const& thread : threads_) {
        groups[thread.ended ? "ended" : std::string("at ") + thread.waits_for].push_back(&thread);
    }
    std::string text = "its threads wait for each other:";
    for (auto const& [state, members] : groups) {
        text += " " + name(*members.front());
        if (members.size() > 1) text += " and " + std::to_string(members.size() - 1) + " more";
        text += " " + state + ";";
    }
    text.pop_back();
    return text;
}

}  // namespace tesserank::emulation
