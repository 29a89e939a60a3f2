#pragma once

#include "tests/emulation/executor.hpp"
#include "tests/emulation/fiber.hpp"
#include "tests/emulation/warpgroup.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tesserank::emulation {

/// The place of the linear-th thread or block.
uint3 index_of(std::size_t linear, dim3 const& shape);

struct Thread {
    uint3 index{};
    std::size_t linear = 0;
    Fiber fiber;
    bool ended = false;
    char const* waits_for = nullptr;  ///< null: it can run
    std::function<bool()> condition;  ///< of wait_until()
    std::vector<Copy> open_copies;    ///< not in a group yet
    std::deque<std::vector<Copy>> copy_groups;
    ThreadProducts products;
};

/// Lanes that have come to an operation of the lanes of `mask`.
struct Gathering {
    unsigned mask = 0;
    unsigned arrived = 0;
    char const* what = nullptr;
    Payloads payloads{};
};

struct Barrier {
    unsigned expected = 0, arrived = 0;
    std::vector<Thread*> waiting;
};

/// One block while it runs.
class Block {
  public:
    /// The number-th in the order in which blocks run.
    Block(std::shared_ptr<Grid const> grid, std::size_t number);
    ~Block();
    Block(Block const&) = delete;
    Block& operator=(Block const&) = delete;

    /// Whether it has ended; not when all its threads wait for another process: run() goes on with
    /// it. Both throw Fault.
    bool run();
    void run_until_previous_grid_is_needed();

    static Block& current();
    Thread& thread() { return *running_; }
    Grid const& grid() const { return *grid_; }

    void barrier();
    void named_barrier(int id, unsigned threads, char const* wait_for);
    void gather(unsigned mask, char const* what, void* payload,
                void (*together)(unsigned, Payloads const&));
    void wait_until(std::function<bool()> condition, char const* what);
    void wait_for_previous_grid();
    void give_way();

  private:
    void become_current();
    void run_next();
    void enter(Thread& thread);
    void sleep(char const* waits_for);
    void wake(Thread& thread);
    void release_barrier_of_all();
    bool wake_by_condition();
    void end_of(Thread& thread);
    std::string stuck() const;
    unsigned lanes_of_warp(std::size_t warp) const;

    std::shared_ptr<Grid const> grid_;
    uint3 index_;
    bool early_ = false;  ///< the grid before has not run yet
    std::vector<Thread*> at_previous_grid_;
    std::vector<Thread*> giving_way_;
    std::vector<std::byte> shared_memory_;  ///< while it is early and does not run
    std::vector<Thread> threads_;
    std::deque<Thread*> ready_;
    std::size_t live_ = 0;
    std::vector<Thread*> at_barrier_;
    std::map<int, Barrier> named_;
    std::vector<std::vector<Gathering>> gatherings_;  ///< of each warp
    std::vector<unsigned> ended_lanes_;               ///< the same
    Thread* running_ = nullptr;
    std::string fault_;
    bool waited_for_previous_grid_ = false;
};

}  // namespace tesserank::emulation
