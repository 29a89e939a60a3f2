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

void run_grid(std::shared_ptr<Grid const> const& grid, std::shared_ptr<Grid const> const& next) {
    std::unique_ptr<Block> first;
    auto& early = early_block();
    // Static shared memory is one for all blocks of a kernel: two of them cannot be under way.
    if (early != nullptr && early->grid().kernel == grid->kernel) {
        if (&early->grid() == grid.get()) first = std::move(early);
        early = nullptr;
    }
    auto const blocks = std::size_t{grid->blocks.x} * grid->blocks.y * grid->blocks.z;
    try {
        if (next != nullptr && next->dependent && next->kernel != grid->kernel) {
            early = std::make_unique<Block>(next, 0);
            early->run_until_previous_grid_is_needed();
        }
        for (std::size_t b = 0; b < blocks; ++b) {
            if (b > 0 || first == nullptr) first = std::make_unique<Block>(grid, b);
            first->run();
        }
    } catch (Fault const& fault) {
        set_fault("kernel " + symbol_of(Block::current().grid().kernel) + ", block " +
                  place(blockIdx) + ": " + fault.what());
        early = nullptr;
    }
}

void fail(std::string const& what) { throw Fault("thread " + place(threadIdx) + " " + what); }

void require_aligned(void const* address, std::size_t bytes, char const* what) {
    if (reinterpret_cast<std::uintptr_t>(address) % bytes == 0) return;
    fail(std::string(what) + " is not aligned to " + std::to_string(bytes) + " bytes");
}

}  // namespace tesserank::emulation
