#include "tests/kernels/backend_test.hpp"

#include <cstdlib>

namespace tesserank::kernels {

std::vector<BackendMaker> backends_under_test() {
    return {{"reference", make_reference_backend}, {"kokkos", make_kokkos_backend}};
}

bool quantises_activations() { return false; }
bool keeps_whole_sums() { return true; }

void* allocate_for_test(std::size_t bytes) { return std::malloc(bytes); }
void free_for_test(void* memory) { std::free(memory); }
void settle() {}

}  // namespace tesserank::kernels
