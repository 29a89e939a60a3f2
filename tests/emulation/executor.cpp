#include "tests/emulation/executor.hpp"

#include "tests/emulation/block.hpp"
#include "tests/emulation/fault.hpp"
#include "tests/emulation/symbol.hpp"

#include <cuda_runtime.h>

#include <cstdint>
#include <memory>
#include <string>

uint3 threadIdx{}, blockIdx{};
dim3 blockDim, gridDim;

namespace tesserank::emulation {
namespace {

/// Of the grid behind the one that runs. Never destroyed, since the program may end in between.
std::unique_ptr<Block>& early_block() {
    static auto& block = *new std::unique_ptr<Block>;
    return block;
}

/// A grid whose threads wait for another process. Never destroyed either.
struct Halted {
    std::unique_ptr<Block> block;
    std::size_t number = 0;  ///< of the block
};
Halted& halted_grid() {
    static auto& halted = *new Halted;
    return halted;
}

/// The first block of the grid, when it is under way already. Static shared memory is one for all
/// blocks of a kernel: two of them cannot be under way.
std::unique_ptr<Block> take_early(std::shared_ptr<Grid const> const& grid) {
    auto& early = early_block();
    if (early == nullptr || early->grid().kernel != grid->kernel) return nullptr;
    std::unique_ptr<Block> block;
    if (&early->grid() == grid.get()) block = std::move(early);
    early = nullptr;
    return block;
}

std::string place(uint3 index) {
    return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " +
           std::to_string(index.z) + ")";
}

}  // namespace

uint3 index_of(std::size_t linear, dim3 const& shape) {
    auto const plane = std::size_t{shape.x} * shape.y;
    return {static_cast<unsigned>(linear % shape.x),
            static_cast<unsigned>(linear % plane / shape.x), static_cast<unsigned>(linear / plane)};
}

bool run_grid(std::shared_ptr<Grid const> const& grid, std::shared_ptr<Grid const> const& next) {
    auto& halted = halted_grid();
    auto& early = early_block();
    auto const blocks = std::size_t{grid->blocks.x} * grid->blocks.y * grid->blocks.z;
    Halted now = std::move(halted);
    try {
        if (now.block == nullptr) {
            now = {.block = take_early(grid), .number = 0};
            if (next != nullptr && next->dependent && next->kernel != grid->kernel) {
                early = std::make_unique<Block>(next, 0);
                early->run_until_previous_grid_is_needed();
            }
        } else if (&now.block->grid() != grid.get()) {
            throw Fault("two grids at a time, of which one waits for another process");
        }
        for (; now.number < blocks; ++now.number) {
            if (now.block == nullptr) now.block = std::make_unique<Block>(grid, now.number);
            if (!now.block->run()) {
                halted = std::move(now);
                return false;
            }
            now.block = nullptr;
        }
    } catch (Fault const& fault) {
        set_fault("kernel " + symbol_of(Block::current().grid().kernel) + ", block " +
                  place(blockIdx) + ": " + fault.what());
        early = nullptr;
    }
    return true;
}

void fail(std::string const& what) { throw Fault("thread " + place(threadIdx) + " " + what); }

void require_aligned(void const* address, std::size_t bytes, char const* what) {
    if (reinterpret_cast<std::uintptr_t>(address) % bytes == 0) return;
    fail(std::string(what) + " is not aligned to " + std::to_string(bytes) + " bytes");
}

}  // namespace tesserank::emulation
