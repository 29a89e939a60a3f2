#pragma once

#include "tests/emulation/include/emulation/types.hpp"

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

/// Runs the blocks of a grid one after the other, with a fiber for each thread of a block. What is
/// declared behind run_grid() is for code of device threads.
namespace tesserank::emulation {

struct Grid {
    void const* kernel = nullptr;  ///< for messages
    dim3 blocks, threads;
    std::size_t shared_bytes = 0;
    bool dependent = false;  ///< launched so that it may overlap the grid before it
    std::function<void()> body;
};

/// Whether the grid has ended: when its threads wait for another process it has not, and goes on
/// with the next call. Sets the fault when a thread makes a mistake; the rest of the grid does not
/// run then.
/// Before it the first block of `next`, when that is a dependent grid, runs as far as it can
/// without waiting for this one: what it reads or writes too early shows.
bool run_grid(std::shared_ptr<Grid const> const& grid, std::shared_ptr<Grid const> const& next);

/// Ends the grid with a message about the calling thread.
[[noreturn]] void fail(std::string const& what);
void require_aligned(void const* address, std::size_t bytes, char const* what);

std::byte* dynamic_shared();
std::size_t dynamic_shared_bytes();

/// Waits for all threads of the block that have not ended.
void block_barrier();
/// A barrier of `threads` threads; those that only arrive do not wait.
void named_barrier(int id, unsigned threads, char const* what);
void arrive_at_named_barrier(int id, unsigned threads);
/// Lets other threads run until `condition` holds.
void wait_until(std::function<bool()> condition, char const* what);

/// What each lane of a warp brings to something that its lanes do together; null for those that
/// take no part.
using Payloads = std::array<void*, 32>;
/// Waits for the lanes of `mask`; then `together` runs once, with the payloads of all of them.
void with_warp(unsigned mask, char const* what, void* payload,
               void (*together)(unsigned mask, Payloads const& payloads));
unsigned lane();

struct Copy {
    void* target = nullptr;
    void const* source = nullptr;  ///< null: zeros
    std::size_t bytes = 0;
};
/// A copy that is made as late as it may be: when the thread waits for its group. Until then the
/// target holds garbage.
void start_copy(Copy const& copy);
void commit_copies();
void wait_for_copies(std::size_t groups_under_way);

void wait_for_previous_grid();

/// For a thread that looks again and again at what another process writes.
void give_way();

}  // namespace tesserank::emulation
