#pragma once

#include <boost/program_options.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tesserank::app {

inline constexpr auto backend_help = "auto (a GPU if there is one), cuda, kokkos or reference";
inline constexpr auto comm_help =
    "what carries tensors between the ranks: auto, nccl (each rank has a GPU of its own) or mpi";

/// How commands that compute choose what short all-reduces are done by.
struct FusedOptions {
    std::string use = "no";
    std::optional<std::size_t> limit;  ///< bytes
};
void add_fused_options(boost::program_options::options_description& options, FusedOptions& fused);
/// Of what was parsed. Errors: UsageError for a wrong word or size.
void read_fused_options(boost::program_options::variables_map const& values, FusedOptions& fused);

/// Of --backend and --comm. Errors: UsageError for another word.
void check_backend_word(std::string_view backend);
void check_comm_word(std::string_view comm);

}  // namespace tesserank::app
