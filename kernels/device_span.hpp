#pragma once

#include <cstddef>
#include <type_traits>

namespace tesserank::kernels {

/// Consecutive elements in a backend's memory, which the host may be unable to read. Never owns.
template <class T>
struct DeviceSpan {
    T* data = nullptr;
    std::size_t size = 0;

    DeviceSpan() = default;
    DeviceSpan(T* first, std::size_t count) : data{first}, size{count} {}
    /// Of elements that may be written: they may be read.
    template <class Writable>
    requires(std::is_same_v<T, Writable const>) DeviceSpan(DeviceSpan<Writable> const& other)
        : data{other.data}, size{other.size} {}

    /// Whether both are the same memory.
    bool operator==(DeviceSpan const&) const = default;

    DeviceSpan from(std::size_t first, std::size_t count) const { return {data + first, count}; }
};

}  // namespace tesserank::kernels
