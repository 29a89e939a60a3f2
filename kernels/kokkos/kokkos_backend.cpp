#include "kernels/kokkos/kokkos_backend.hpp"

#include <Kokkos_Core.hpp>

#include <cstdlib>

namespace tesserank::kernels {
namespace {

void finalize_at_exit() {
    if (Kokkos::is_initialized()) Kokkos::finalize();
}

/// Kokkos can be started only once in a process, so it runs until the process ends, however many
/// backends come and go.
void start_kokkos() {
    if (Kokkos::is_initialized()) return;
#if KOKKOS_VERSION >= 30700
    // Kokkos would warn on every rank that threads are not bound; binding is the launcher's task.
    Kokkos::initialize(Kokkos::InitializationSettings().set_disable_warnings(true));
#else
    Kokkos::initialize();
#endif
    std::atexit(finalize_at_exit);
}

}  // namespace

namespace kokkos {

KokkosBackend::KokkosBackend() : kernels_(&isa::kernels_of_this_cpu()) {}

void KokkosBackend::synchronize() { Kokkos::fence(); }

}  // namespace kokkos

std::unique_ptr<Backend> make_kokkos_backend() {
    start_kokkos();
    return std::make_unique<kokkos::KokkosBackend>();
}

}  // namespace tesserank::kernels
