#include "tests/emulation/device.hpp"
#include "tests/emulation/executor.hpp"
#include "tests/emulation/fault.hpp"
#include "tests/emulation/memory.hpp"
#include "tests/emulation/shared_pages.hpp"
#include "tests/emulation/streams.hpp"
#include "tests/emulation/symbol.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace tesserank::emulation {
namespace {

constexpr std::size_t granted_to_all = 48 * 1024;

/// Dynamic shared memory that a kernel was granted.
std::map<void const*, std::size_t>& grants() {
    static std::map<void const*, std::size_t> all;
    return all;
}

std::map<void const*, std::size_t>& grids_by_kernel() {
    static std::map<void const*, std::size_t> all;
    return all;
}

bool allowed(cudaLaunchConfig_t const& config) {
    dim3 const &grid = config.gridDim, &block = config.blockDim;
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffU || grid.y > 65535 ||
        grid.z > 65535) {
        return false;
    }
    auto const threads = std::size_t{block.x} * block.y * block.z;
    return threads > 0 && threads <= 1024 && block.x <= 1024 && block.y <= 1024 && block.z <= 64;
}

/// Whether the word can be an address of a stack, a mapping or, in a program that is independent of
/// its position, the heap, and is no number.
bool may_be_address(std::uintptr_t word) {
    constexpr std::uintptr_t lowest = 0x5000'0000'0000, highest = 0xffff'ffff'ffff;
    return word >= lowest && word <= highest;
}

bool mapped(std::uintptr_t address) {
    static auto const page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    unsigned char resident = 0;
    return ::mincore(reinterpret_cast<void*>(address / page * page), 1, &resident) == 0;
}

}  // namespace

std::size_t grids_run(std::string_view name) {
    std::lock_guard<std::recursive_mutex> const lock(runtime_mutex());
    std::size_t sum = 0;
    for (auto const& [kernel, count] : grids_by_kernel()) {
        if (symbol_of(kernel).find(name) != std::string::npos) sum += count;
    }
    return sum;
}

void check_words(void const* kernel, std::span<std::byte const> argument) {
    for (std::size_t at = 0; at + sizeof(std::uintptr_t) <= argument.size();
         at += sizeof(std::uintptr_t)) {
        std::uintptr_t word = 0;
        std::memcpy(&word, argument.data() + at, sizeof word);
        if (!may_be_address(word)) continue;
        std::lock_guard<std::recursive_mutex> const lock(runtime_mutex());
        auto const* const address = reinterpret_cast<void const*>(word);
        if (type_of(address, 0) != cudaMemoryTypeUnregistered) continue;
        if (of_another_process(address) || !mapped(word)) continue;
        set_fault("kernel " + symbol_of(kernel) + " is given memory of the host");
    }
}

bool perform(Work const& work, Work const* next) {
    if (work.grid == nullptr) {
        work.run();
        return true;
    }
    bool const ended = run_grid(work.grid, next == nullptr ? nullptr : next->grid);
    check_guards(work.grid->kernel);
    if (ended) ++grids_by_kernel()[work.grid->kernel];
    return ended;
}

cudaError_t launch(cudaLaunchConfig_t const& config, void const* kernel,
                   std::function<void()> body) {
    std::lock_guard<std::recursive_mutex> const lock(runtime_mutex());
    if (!allowed(config)) return result(cudaErrorInvalidConfiguration);
    std::size_t const granted = grants().contains(kernel) ? grants()[kernel] : granted_to_all;
    if (config.dynamicSmemBytes > granted) return result(cudaErrorInvalidValue);
    Grid grid{.kernel = kernel,
              .blocks = config.gridDim,
              .threads = config.blockDim,
              .shared_bytes = config.dynamicSmemBytes,
              .body = std::move(body)};
    for (unsigned i = 0; i < config.numAttrs; ++i) {
        grid.dependent =
            grid.dependent || config.attrs[i].val.programmaticStreamSerializationAllowed != 0;
    }
    return result(enqueue(config.stream,
                          Work{.run = {}, .grid = std::make_shared<Grid const>(std::move(grid))}));
}

}  // namespace tesserank::emulation

using namespace tesserank::emulation;

cudaError_t cudaFuncSetAttribute(void const* kernel, cudaFuncAttribute attribute, int value) {
    std::lock_guard<std::recursive_mutex> const lock(runtime_mutex());
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return result(device_state());
    if (value < 0 || static_cast<std::size_t>(value) > largest_shared_memory()) {
        return result(cudaErrorInvalidValue);
    }
    grants()[kernel] = std::max(granted_to_all, static_cast<std::size_t>(value));
    return result(device_state());
}
