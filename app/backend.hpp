#pragma once

#include "kernels/backend.hpp"

#include <memory>
#include <string_view>

namespace tesserank::app {

/// The backend of this name: "cuda" on that device, "kokkos" or "reference".
std::unique_ptr<kernels::Backend> make_backend(std::string_view name, int device);

/// What --backend takes for a process that is alone. Errors: SystemError where there is no GPU.
std::unique_ptr<kernels::Backend> make_backend_alone(std::string_view wish);

}  // namespace tesserank::app
