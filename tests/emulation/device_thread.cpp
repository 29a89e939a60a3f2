#include "tests/emulation/block.hpp"
#include "tests/emulation/executor.hpp"
#include "tests/emulation/shared_memory.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

/// What device threads call.
namespace tesserank::emulation {
namespace {

constexpr std::size_t largest_shared = 228 * 1024, guard = 1024;
constexpr unsigned char garbage = 0xCB, guarded = 0x5A;

alignas(1024) std::array<std::byte, largest_shared + guard> shared_memory;
std::size_t shared_bytes = 0;

void perform(std::vector<Copy> const& copies) {
    for (Copy const& copy : copies) {
        if (copy.source != nullptr) {
            std::memcpy(copy.target, copy.source, copy.bytes);
        } else {
            std::memset(copy.target, 0, copy.bytes);
        }
        written_by_thread(copy.target);
    }
}

}  // namespace

void prepare_shared_memory(std::size_t bytes) {
    shared_bytes = bytes;
    forget_writers();
    std::memset(shared_memory.data(), garbage, bytes);
    std::memset(shared_memory.data() + bytes, guarded, guard);
}

bool shared_memory_intact() {
    auto const* const first = shared_memory.data() + shared_bytes;
    return std::all_of(first, first + guard, [](std::byte b) { return b == std::byte{guarded}; });
}

std::byte* dynamic_shared() { return shared_memory.data(); }
std::size_t dynamic_shared_bytes() { return shared_bytes; }

void block_barrier() { Block::current().barrier(); }

void named_barrier(int id, unsigned threads, char const* what) {
    Block::current().named_barrier(id, threads, what);
}
void arrive_at_named_barrier(int id, unsigned threads) {
    Block::current().named_barrier(id, threads, nullptr);
}

void wait_until(std::function<bool()> condition, char const* what) {
    Block::current().wait_until(std::move(condition), what);
}

void with_warp(unsigned mask, char const* what, void* payload,
               void (*together)(unsigned, Payloads const&)) {
    Block::current().gather(mask, what, payload, together);
}

unsigned lane() { return static_cast<unsigned>(Block::current().thread().linear % 32); }

void start_copy(Copy const& copy) {
    std::memset(copy.target, 0xFF, copy.bytes);
    Block::current().thread().open_copies.push_back(copy);
}

void commit_copies() {
    Thread& thread = Block::current().thread();
    thread.copy_groups.push_back(std::exchange(thread.open_copies, {}));
}

void wait_for_copies(std::size_t groups_under_way) {
    auto& groups = Block::current().thread().copy_groups;
    while (groups.size() > groups_under_way) {
        perform(groups.front());
        groups.pop_front();
    }
}

void wait_for_previous_grid() { Block::current().wait_for_previous_grid(); }

void give_way() { Block::current().give_way(); }

}  // namespace tesserank::emulation
