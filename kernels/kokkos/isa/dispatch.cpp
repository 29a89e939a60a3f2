#include "kernels/kokkos/isa/kernel_table.hpp"

namespace tesserank::kernels::kokkos::isa {

KernelTable const& kernels_of_this_cpu() {
#if defined(__x86_64__)
    // Every CPU with AVX2 and FMA converts halves too; older compilers cannot ask for that.
    bool const avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
    if (avx2 && __builtin_cpu_supports("avx512f") != 0) return avx512_kernels();
    if (avx2) return avx2_kernels();
#endif
    return portable_kernels();
}

}  // namespace tesserank::kernels::kokkos::isa
