#pragma once

/// What the lanes of a warp do together; a part of cuda_runtime.h.

namespace tesserank::emulation {

template <class T>
struct Shuffle {
    T value;
    unsigned source;  ///< the lane whose value is wanted
    T result;
};

template <class T>
void shuffle_together(unsigned mask, Payloads const& lanes) {
    for (unsigned i = 0; i < 32; ++i) {
        if ((mask >> i & 1U) == 0) continue;
        auto& mine = *static_cast<Shuffle<T>*>(lanes[i]);
        // A lane that takes no part has no value; CUDA leaves open what is read from it.
        void* const source = lanes[mine.source];
        if (source == nullptr) {
            std::memset(static_cast<void*>(&mine.result), 0xCB, sizeof(T));
        } else {
            mine.result = static_cast<Shuffle<T>*>(source)->value;
        }
    }
}

template <class T>
T shuffle(unsigned mask, char const* what, T value, unsigned source) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8);
    Shuffle<T> mine{value, source, value};
    with_warp(mask, what, &mine, shuffle_together<T>);
    return mine.result;
}

struct Vote {
    unsigned value, result;
};

/// Bit i is what lane i said.
inline unsigned vote(unsigned mask, char const* what, bool value) {
    Vote mine{value ? 1U : 0U, 0U};
    with_warp(mask, what, &mine, [](unsigned all, Payloads const& lanes) {
        unsigned result = 0;
        for (unsigned i = 0; i < 32; ++i) {
            if ((all >> i & 1U) != 0) result |= static_cast<Vote*>(lanes[i])->value << i;
        }
        for (unsigned i = 0; i < 32; ++i) {
            if ((all >> i & 1U) != 0) static_cast<Vote*>(lanes[i])->result = result;
        }
    });
    return mine.result;
}

}  // namespace tesserank::emulation

inline void __syncwarp(unsigned mask = 0xffffffff) {
    tesserank::emulation::vote(mask, "__syncwarp()", true);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
    unsigned const lane = tesserank::emulation::lane(), segment = static_cast<unsigned>(width) - 1;
    return tesserank::emulation::shuffle(
        mask, "__shfl_sync()", value,
        (lane & ~segment) | (static_cast<unsigned>(source) & segment));
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32) {
    unsigned const lane = tesserank::emulation::lane(), segment = static_cast<unsigned>(width) - 1;
    return tesserank::emulation::shuffle(mask, "__shfl_up_sync()", value,
                                         (lane & segment) < distance ? lane : lane - distance);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32) {
    unsigned const lane = tesserank::emulation::lane(), segment = static_cast<unsigned>(width) - 1;
    return tesserank::emulation::shuffle(
        mask, "__shfl_down_sync()", value,
        (lane & segment) + distance > segment ? lane : lane + distance);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int distance, int width = 32) {
    unsigned const lane = tesserank::emulation::lane(), segment = static_cast<unsigned>(width) - 1;
    unsigned const source = lane ^ static_cast<unsigned>(distance);
    // A source in a later segment gives the lane's own value.
    return tesserank::emulation::shuffle(mask, "__shfl_xor_sync()", value,
                                         source > (lane | segment) ? lane : source);
}

inline unsigned __ballot_sync(unsigned mask, int predicate) {
    return tesserank::emulation::vote(mask, "__ballot_sync()", predicate != 0);
}
inline int __any_sync(unsigned mask, int predicate) {
    return tesserank::emulation::vote(mask, "__any_sync()", predicate != 0) != 0;
}
inline int __all_sync(unsigned mask, int predicate) {
    return tesserank::emulation::vote(mask, "__all_sync()", predicate == 0) == 0;
}

inline int __syncthreads_count(int predicate) {
    static int count = 0;
    __syncthreads();
    count = 0;
    __syncthreads();
    count += predicate != 0;
    __syncthreads();
    return count;
}
inline int __syncthreads_or(int predicate) { return __syncthreads_count(predicate) > 0; }
inline int __syncthreads_and(int predicate) { return __syncthreads_count(predicate == 0) == 0; }
