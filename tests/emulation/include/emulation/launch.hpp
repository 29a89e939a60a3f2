#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <tuple>
#include <utility>

/// The templates of the runtime API; a part of cuda_runtime.h.

namespace tesserank::emulation {

cudaError_t launch(cudaLaunchConfig_t const& config, void const* kernel,
                   std::function<void()> body);

/// Sets the fault when a word of an argument points to memory of the host that CUDA does not know:
/// a device could not read it.
void check_words(void const* kernel, std::span<std::byte const> argument);

template <class T>
void check_argument([[maybe_unused]] void const* kernel, [[maybe_unused]] T argument) {
#if __has_builtin(__builtin_clear_padding)
    __builtin_clear_padding(&argument);  // or what lay there before could look like an address
    check_words(kernel, std::as_bytes(std::span(&argument, 1)));
#endif
}

template <class T>
void** untyped(T** memory) {
    return reinterpret_cast<void**>(memory);
}

}  // namespace tesserank::emulation

template <class T>
cudaError_t cudaMalloc(T** memory, std::size_t bytes) {
    return cudaMalloc(tesserank::emulation::untyped(memory), bytes);
}
template <class T>
cudaError_t cudaMallocManaged(T** memory, std::size_t bytes, unsigned flags = cudaMemAttachGlobal) {
    return cudaMallocManaged(tesserank::emulation::untyped(memory), bytes, flags);
}
template <class T>
cudaError_t cudaMallocHost(T** memory, std::size_t bytes) {
    return cudaMallocHost(tesserank::emulation::untyped(memory), bytes);
}
template <class T>
cudaError_t cudaHostAlloc(T** memory, std::size_t bytes, unsigned flags) {
    return cudaHostAlloc(tesserank::emulation::untyped(memory), bytes, flags);
}
template <class... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute attribute,
                                 int value) {
    return cudaFuncSetAttribute(reinterpret_cast<void const*>(kernel), attribute, value);
}

/// The arguments are copied now, as CUDA does, and again for each run of a graph.
template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(cudaLaunchConfig_t const* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
    std::tuple<std::remove_cv_t<Parameters>...> values(std::forward<Arguments>(arguments)...);
    auto const* const function = reinterpret_cast<void const*>(kernel);
    std::apply(
        [function](auto const&... each) {
            (tesserank::emulation::check_argument(function, each), ...);
        },
        values);
    return tesserank::emulation::launch(
        *config, function, [kernel, values = std::move(values)] { std::apply(kernel, values); });
}
