#include "tests/emulation/memory.hpp"

#include "tests/emulation/device.hpp"
#include "tests/emulation/fault.hpp"
#include "tests/emulation/shared_pages.hpp"
#include "tests/emulation/streams.hpp"
#include "tests/emulation/symbol.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>

using namespace tesserank::emulation;
using Lock = std::lock_guard<std::recursive_mutex>;

namespace {

constexpr std::size_t guard = 256;  ///< and how addresses are aligned
/// So that other processes can have a block's memory.
constexpr std::size_t page = 4096;
constexpr unsigned char garbage = 0xCB, guarded = 0x5A;
/// Large buffers get no more of it: time.
constexpr std::size_t most_garbage = 4 << 20;

struct Allocation {
    std::size_t bytes = 0;
    cudaMemoryType type = cudaMemoryTypeDevice;
    std::byte* block = nullptr;  ///< null: registered memory of the host
    std::shared_ptr<SharedPages> shared{};

    /// Of the block.
    std::size_t size() const { return (guard + bytes + guard + page - 1) / page * page; }
};

/// By address.
std::map<std::uintptr_t, Allocation>& allocations() {
    static std::map<std::uintptr_t, Allocation> all;
    return all;
}

std::size_t bytes_on_device() {
    std::size_t sum = 0;
    for (auto const& [address, a] : allocations()) {
        if (a.type == cudaMemoryTypeDevice) sum += a.bytes;
    }
    return sum;
}

void set_guards(Allocation const& a) {
    std::memset(a.block, guarded, guard);
    std::memset(a.block + guard + a.bytes, guarded, guard);
}

cudaError_t allocate(void** memory, std::size_t bytes, cudaMemoryType type) {
    *memory = nullptr;
    if (cudaError_t const error = forbidden_in_capture(); error != cudaSuccess) return error;
    if (bytes == 0) return device_state();
    if (type == cudaMemoryTypeDevice && bytes_on_device() + bytes > device_memory()) {
        return cudaErrorMemoryAllocation;
    }
    Allocation made{bytes, type};
    made.block = static_cast<std::byte*>(std::aligned_alloc(page, made.size()));
    if (made.block == nullptr) return cudaErrorMemoryAllocation;
    std::byte* const first = made.block + guard;
    std::memset(first, garbage, std::min(bytes, most_garbage));
    set_guards(made);
    allocations()[reinterpret_cast<std::uintptr_t>(first)] = made;
    *memory = first;
    return device_state();
}

bool intact(Allocation const& a) {
    auto const whole = [](std::byte const* bytes) {
        return std::all_of(bytes, bytes + guard,
                           [](std::byte b) { return b == std::byte{guarded}; });
    };
    return a.block == nullptr || (whole(a.block) && whole(a.block + guard + a.bytes));
}

cudaError_t release(void* memory, bool of_host) {
    if (memory == nullptr) return device_state();
    if (cudaError_t const error = forbidden_in_capture(); error != cudaSuccess) return error;
    run_all_streams();
    auto const found = allocations().find(reinterpret_cast<std::uintptr_t>(memory));
    if (found == allocations().end() || found->second.block == nullptr ||
        (found->second.type == cudaMemoryTypeHost) != of_host) {
        return cudaErrorInvalidValue;
    }
    check_guards(nullptr);
    if (found->second.shared != nullptr && found->second.shared->open_elsewhere()) {
        set_fault("memory is freed that another process still has open");
    }
    std::memset(memory, garbage, std::min(found->second.bytes, most_garbage));
    found->second.shared = nullptr;
    std::free(found->second.block);
    allocations().erase(found);
    return device_state();
}

}  // namespace

namespace tesserank::emulation {

cudaMemoryType type_of(void const* address, std::size_t bytes) {
    auto const first = reinterpret_cast<std::uintptr_t>(address);
    auto found = allocations().upper_bound(first);
    if (found == allocations().begin()) return cudaMemoryTypeUnregistered;
    --found;
    bool const inside = first + bytes <= found->first + found->second.bytes;
    return inside ? found->second.type : cudaMemoryTypeUnregistered;
}

void check_guards(void const* kernel) {
    for (auto const& [address, a] : allocations()) {
        if (intact(a)) continue;
        set_guards(a);
        set_fault("something was written outside of an allocation of " + std::to_string(a.bytes) +
                  " bytes by " + (kernel == nullptr ? "the host" : "kernel " + symbol_of(kernel)));
        return;
    }
}

}  // namespace tesserank::emulation

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
    Lock const lock(runtime_mutex());
    return result(allocate(memory, bytes, cudaMemoryTypeDevice));
}

cudaError_t cudaMallocManaged(void** memory, std::size_t bytes, unsigned) {
    Lock const lock(runtime_mutex());
    return result(allocate(memory, bytes, cudaMemoryTypeManaged));
}

cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
    return cudaHostAlloc(memory, bytes, cudaHostAllocDefault);
}

cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
    Lock const lock(runtime_mutex());
    return result(allocate(memory, bytes, cudaMemoryTypeHost));
}

cudaError_t cudaFree(void* memory) {
    Lock const lock(runtime_mutex());
    return result(release(memory, false));
}

cudaError_t cudaFreeHost(void* memory) {
    Lock const lock(runtime_mutex());
    return result(release(memory, true));
}

cudaError_t cudaHostRegister(void* memory, std::size_t bytes, unsigned) {
    Lock const lock(runtime_mutex());
    if (memory == nullptr || bytes == 0) return result(cudaErrorInvalidValue);
    if (type_of(memory, 1) != cudaMemoryTypeUnregistered) {
        return result(cudaErrorHostMemoryAlreadyRegistered);
    }
    allocations()[reinterpret_cast<std::uintptr_t>(memory)] = {bytes, cudaMemoryTypeHost, nullptr};
    return result(device_state());
}

cudaError_t cudaHostUnregister(void* memory) {
    Lock const lock(runtime_mutex());
    auto const found = allocations().find(reinterpret_cast<std::uintptr_t>(memory));
    if (found == allocations().end() || found->second.block != nullptr) {
        return result(cudaErrorHostMemoryNotRegistered);
    }
    run_all_streams();
    allocations().erase(found);
    return result(device_state());
}

cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t* handle, void* memory) {
    Lock const lock(runtime_mutex());
    if (ipc_fails()) return result(cudaErrorInvalidResourceHandle);
    auto const found = allocations().find(reinterpret_cast<std::uintptr_t>(memory));
    if (found == allocations().end() || found->second.type != cudaMemoryTypeDevice) {
        return result(cudaErrorInvalidValue);
    }
    auto& [address, allocation] = *found;
    if (allocation.shared == nullptr) {
        allocation.shared = std::make_shared<SharedPages>(allocation.block, allocation.size());
    }
    allocation.shared->describe(guard, *handle);
    return result(device_state());
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
    Lock const lock(runtime_mutex());
    *total = device_memory();
    *free = *total - bytes_on_device();
    return result(device_state());
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, void const* memory) {
    Lock const lock(runtime_mutex());
    cudaMemoryType const type = type_of(memory, 1);
    void* const pointer = const_cast<void*>(memory);
    bool const known = type != cudaMemoryTypeUnregistered;
    *attributes = {type, known ? current_device() : -2, known ? pointer : nullptr,
                   type == cudaMemoryTypeDevice ? nullptr : pointer};
    return result(device_state());
}
