#include "tests/emulation/executor.hpp"

#include "tests/emulation/block.hpp"
#include "tests/emulation/fault.hpp"
#include "tests/emulation/symbol.hpp"

#include <cuda_runtime.h>

#include <cstdint>
#include <cstdlib>
#include <string_view>

uint3 threadIdx{}, blockIdx{};
dim3 blockDim, gridDim;

namespace tesserank::emulation {
namespace {

bool reversed() {
    char const* const order = std::getenv("TESSERANK_EMULATION_ORDER");
    return order != nullptr && std::string_view(order) == "reverse";
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

void run_grid(Grid const& grid) {
    gridDim = grid.blocks;
    blockDim = grid.threads;
    auto const blocks = std::size_t{grid.blocks.x} * grid.blocks.y * grid.blocks.z;
    bool const backwards = reversed();
    for (std::size_t b = 0; b < blocks; ++b) {
        blockIdx = index_of(backwards ? blocks - 1 - b : b, grid.blocks);
        try {
            Block block(grid, backwards);
            block.run();
        } catch (Fault const& fault) {
            set_fault("kernel " + symbol_of(grid.kernel) + ", block " + place(blockIdx) + ": " +
                      fault.what());
            return;
        }
    }
}

void fail(std::string const& what) { throw Fault("thread " + place(threadIdx) + " " + what); }

void require_aligned(void const* address, std::size_t bytes, char const* what) {
    if (reinterpret_cast<std::uintptr_t>(address) % bytes == 0) return;
    fail(std::string(what) + " is not aligned to " + std::to_string(bytes) + " bytes");
}

}  // namespace tesserank::emulation
