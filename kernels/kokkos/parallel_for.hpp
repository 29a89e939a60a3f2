#pragma once

#include <Kokkos_Core.hpp>

#include <cstddef>

namespace tesserank::kernels::kokkos {

using HostSpace = Kokkos::DefaultHostExecutionSpace;

/// Calls body(i) for each i < count on the threads of the host space and waits: tensors live in
/// host memory, and what follows may be a library that knows nothing of Kokkos.
template <class Body>
void parallel_for(char const* label, std::size_t count, Body const& body) {
    if (count == 0) return;
    using Policy = Kokkos::RangePolicy<HostSpace, Kokkos::IndexType<std::size_t>>;
    Kokkos::parallel_for(label, Policy(0, count), body);
    HostSpace().fence();
}

}  // namespace tesserank::kernels::kokkos
