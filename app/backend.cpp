#include "app/backend.hpp"

#include "app/usage_error.hpp"

#include <string>

namespace tesserank::app {

std::unique_ptr<kernels::Backend> make_backend(std::string_view name) {
    if (name == "reference") return kernels::make_reference_backend();
    if (name == "auto" || name == "kokkos") return kernels::make_kokkos_backend();
    throw UsageError("--backend is \"" + std::string(name) +
                     "\", expected auto, kokkos or reference (this build)");
}

}  // namespace tesserank::app
