#include "kernels/kokkos/isa/kernel_table.hpp"

namespace tesserank::kernels::kokkos::isa {

std::vector<KernelTable const*> runnable_kernels() {
    std::vector<KernelTable const*> tables;
#if defined(__x86_64__)
    // Every CPU with AVX2 and FMA converts halves too; older compilers cannot ask for that.
    bool const avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
    if (avx2 && __builtin_cpu_supports("avx512f") != 0) tables.push_back(&avx512_kernels());
    if (avx2) tables.push_back(&avx2_kernels());
#endif
    tables.push_back(&portable_kernels());
    return tables;
}

KernelTable const& kernels_of_this_cpu() { return *runnable_kernels().front(); }

}  // namespace tesserank::kernels::kokkos::isa
