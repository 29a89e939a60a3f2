#pragma once

/// Atomics are plain where one thread runs at a time; a part of cuda_runtime.h.

template <class T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
    T const old = *address;
    *address = static_cast<T>(old + value);
    return old;
}
template <class T>
T atomicSub(T* address, std::type_identity_t<T> value) {
    T const old = *address;
    *address = static_cast<T>(old - value);
    return old;
}
template <class T>
T atomicMax(T* address, std::type_identity_t<T> value) {
    T const old = *address;
    *address = std::max(old, value);
    return old;
}
template <class T>
T atomicMin(T* address, std::type_identity_t<T> value) {
    T const old = *address;
    *address = std::min(old, value);
    return old;
}
template <class T>
T atomicExch(T* address, std::type_identity_t<T> value) {
    T const old = *address;
    *address = value;
    return old;
}
template <class T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
    T const old = *address;
    if (old == expected) *address = value;
    return old;
}
template <class T>
T atomicOr(T* address, std::type_identity_t<T> value) {
    T const old = *address;
    *address = old | value;
    return old;
}
template <class T>
T atomicAnd(T* address, std::type_identity_t<T> value) {
    T const old = *address;
    *address = old & value;
    return old;
}
/// Counts up to `last`, then starts again at 0.
inline unsigned atomicInc(unsigned* address, unsigned last) {
    unsigned const old = *address;
    *address = old >= last ? 0 : old + 1;
    return old;
}
