#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/write_to_host.hpp"

#include <algorithm>
#include <cstdint>

namespace tesserank::kernels::cuda {
namespace {

constexpr unsigned threads = 256;
constexpr std::size_t most_blocks = 64;

template <class Word>
__global__ void __launch_bounds__(threads)
    write_words(Word const* source, Word* pinned, std::size_t count) {
    std::size_t const step = std::size_t{gridDim.x} * threads;
    for (std::size_t i = std::size_t{blockIdx.x} * threads + threadIdx.x; i < count; i += step) {
        pinned[i] = source[i];
    }
}

template <class Word>
void write_as(std::byte const* source, std::byte* pinned, std::size_t bytes, cudaStream_t stream) {
    std::size_t const count = bytes / sizeof(Word);
    auto const blocks = std::min((count + threads - 1) / threads, most_blocks);
    launch(write_words<Word>, {.grid = dim3(static_cast<unsigned>(blocks)), .block = dim3(threads)},
           stream, reinterpret_cast<Word const*>(source), reinterpret_cast<Word*>(pinned), count);
}

}  // namespace

void write_to_host(std::byte const* source, std::byte* pinned, std::size_t bytes,
                   cudaStream_t stream) {
    auto const both =
        reinterpret_cast<std::uintptr_t>(source) | reinterpret_cast<std::uintptr_t>(pinned) | bytes;
    if (both % sizeof(uint2) == 0) {
        write_as<uint2>(source, pinned, bytes, stream);
    } else {
        write_as<unsigned char>(source, pinned, bytes, stream);
    }
}

}  // namespace tesserank::kernels::cuda
