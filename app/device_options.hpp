#pragma once

#include <string_view>

namespace tesserank::app {

inline constexpr auto backend_help = "auto (a GPU if there is one), cuda, kokkos or reference";
inline constexpr auto comm_help =
    "what carries tensors between the ranks: auto, nccl (each rank has a GPU of its own) or mpi";

/// Of --backend and --comm. Errors: UsageError for another word.
void check_backend_word(std::string_view backend);
void check_comm_word(std::string_view comm);

}  // namespace tesserank::app
