#pragma once

#include "kernels/backend.hpp"

#include <memory>
#include <string_view>

namespace tesserank::app {

/// The backend of this name: "cuda" on that device, "kokkos" or "reference".
std::unique_ptr<kernels::Backend> make_backend(std::string_view name, int device);

/// What --backend auto takes for a process that is alone.
std::unique_ptr<kernels::Backend> make_backend_alone();

/// Of --backend and --comm. Errors: UsageError for another word.
void check_backend_word(std::string_view backend);
void check_comm_word(std::string_view comm);
inline constexpr auto backend_help = "auto (a GPU if there is one), cuda, kokkos or reference";
inline constexpr auto comm_help =
    "what carries tensors between the ranks: auto, nccl (each rank has a GPU of its own) or mpi";

}  // namespace tesserank::app
