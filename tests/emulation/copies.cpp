#include "tests/emulation/memory.hpp"
#include "tests/emulation/streams.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

using namespace tesserank::emulation;
using Lock = std::lock_guard<std::recursive_mutex>;

namespace {

struct Rows {
    std::byte* to;
    std::size_t to_pitch;
    std::byte const* from;
    std::size_t from_pitch, bytes, count;

    void copy() const {
        for (std::size_t r = 0; r < count; ++r) {
            std::memmove(to + r * to_pitch, from + r * from_pitch, bytes);
        }
    }
    std::size_t span(std::size_t pitch) const { return (count - 1) * pitch + bytes; }
};

bool on_device(cudaMemoryType type) {
    return type == cudaMemoryTypeDevice || type == cudaMemoryTypeManaged;
}

/// Of memory of the host, unless the kind says that it is the device's.
bool fits(cudaMemoryType type, bool device_wanted) {
    return device_wanted ? on_device(type) : type != cudaMemoryTypeDevice;
}

cudaError_t copy_rows(Rows const& rows, cudaMemcpyKind kind, cudaStream_t stream) {
    if (rows.bytes == 0 || rows.count == 0) return device_state();
    if (rows.bytes > rows.to_pitch || rows.bytes > rows.from_pitch) return cudaErrorInvalidValue;
    cudaMemoryType const to = type_of(rows.to, rows.span(rows.to_pitch));
    cudaMemoryType const from = type_of(rows.from, rows.span(rows.from_pitch));
    bool const to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    bool const from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (kind != cudaMemcpyDefault && (!fits(to, to_device) || !fits(from, from_device))) {
        return cudaErrorInvalidValue;
    }
    bool const pageable = to == cudaMemoryTypeUnregistered || from == cudaMemoryTypeUnregistered;
    if (!pageable) return enqueue(stream, [rows] { rows.copy(); });
    if (captures(stream)) {
        stream->capture->valid = false;
        return cudaErrorStreamCaptureUnsupported;
    }
    if (from == cudaMemoryTypeUnregistered && to != cudaMemoryTypeUnregistered) {
        // CUDA too has read pageable memory when the call returns.
        auto staged = std::make_shared<std::vector<std::byte>>(rows.bytes * rows.count);
        Rows{staged->data(), rows.bytes, rows.from, rows.from_pitch, rows.bytes, rows.count}.copy();
        return enqueue(stream, [rows, staged] {
            Rows{rows.to, rows.to_pitch, staged->data(), rows.bytes, rows.bytes, rows.count}.copy();
        });
    }
    cudaError_t const error = enqueue(stream, [rows] { rows.copy(); });
    run_all(stream);
    return error == cudaSuccess ? device_state() : error;
}

constexpr std::size_t large = std::size_t{1} << 20;

/// Whole pages are given back instead: they are zero when they are touched again.
void clear(std::byte* memory, std::size_t bytes) {
    auto const page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    auto const first = reinterpret_cast<std::uintptr_t>(memory);
    std::uintptr_t const begin = (first + page - 1) / page * page;
    std::uintptr_t const end = (first + bytes) / page * page;
    std::memset(memory, 0, begin - first);
    std::memset(memory + (end - first), 0, first + bytes - end);
    if (madvise(memory + (begin - first), end - begin, MADV_DONTNEED) != 0) {
        std::memset(memory + (begin - first), 0, end - begin);
    }
}

cudaError_t set_rows(void* memory, std::size_t pitch, int value, std::size_t bytes,
                     std::size_t count, cudaStream_t stream) {
    if (bytes == 0 || count == 0) return device_state();
    if (!on_device(type_of(memory, (count - 1) * pitch + bytes))) return cudaErrorInvalidValue;
    if (value == 0 && count == 1 && bytes >= large) {
        return enqueue(stream, [=] { clear(static_cast<std::byte*>(memory), bytes); });
    }
    return enqueue(stream, [=] {
        for (std::size_t r = 0; r < count; ++r) {
            std::memset(static_cast<std::byte*>(memory) + r * pitch, value, bytes);
        }
    });
}

}  // namespace

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, void const* from,
                              std::size_t from_pitch, std::size_t row_bytes, std::size_t rows,
                              cudaMemcpyKind kind, cudaStream_t stream) {
    Lock const lock(runtime_mutex());
    return result(copy_rows({static_cast<std::byte*>(to), to_pitch,
                             static_cast<std::byte const*>(from), from_pitch, row_bytes, rows},
                            kind, stream));
}

cudaError_t cudaMemcpyAsync(void* to, void const* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
    return cudaMemcpy2DAsync(to, bytes, from, bytes, bytes, 1, kind, stream);
}

cudaError_t cudaMemcpy(void* to, void const* from, std::size_t bytes, cudaMemcpyKind kind) {
    return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}

cudaError_t cudaMemset2DAsync(void* memory, std::size_t pitch, int value, std::size_t row_bytes,
                              std::size_t rows, cudaStream_t stream) {
    Lock const lock(runtime_mutex());
    return result(set_rows(memory, pitch, value, row_bytes, rows, stream));
}

cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
    return cudaMemset2DAsync(memory, bytes, value, bytes, 1, stream);
}

cudaError_t cudaMemset(void* memory, int value, std::size_t bytes) {
    return cudaMemsetAsync(memory, value, bytes, nullptr);
}
