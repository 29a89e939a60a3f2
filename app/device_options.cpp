#include "app/device_options.hpp"

#include "app/arguments.hpp"
#include "app/usage_error.hpp"

#include <algorithm>
#include <initializer_list>
#include <string>

namespace tesserank::app {
namespace {

namespace po = boost::program_options;

void check_word(std::string_view option, std::string_view word,
                std::initializer_list<std::string_view> allowed, std::string_view expected) {
    if (std::ranges::find(allowed, word) != allowed.end()) return;
    throw UsageError(std::string(option) + " is \"" + std::string(word) + "\", expected " +
                     std::string(expected));
}

}  // namespace

void add_fused_options(po::options_description& options, FusedOptions& fused) {
    auto add = options.add_options();
    add("fused-all-reduce", po::value(&fused.use)->value_name("HOW"),
        "GPUs of one node: add short activations up in one kernel with the norm behind them, in "
        "which the ranks read each other's memory: no (the default: no GPU has run it yet), auto "
        "(where each rank has a GPU of its own that reaches the others) or yes");
    add("fused-limit", po::value<std::string>()->value_name("SIZE"),
        "of the largest activations that this is done with (256K), which have at most 64 rows");
}

void read_fused_options(po::variables_map const& values, FusedOptions& fused) {
    check_word("--fused-all-reduce", fused.use, {"no", "auto", "yes"}, "no, auto or yes");
    fused.limit = bytes_in(values, "fused-limit");
}

void check_backend_word(std::string_view backend) {
    check_word("--backend", backend, {"auto", "cuda", "kokkos", "reference"},
               "auto, cuda, kokkos or reference");
}

void check_comm_word(std::string_view comm) {
    check_word("--comm", comm, {"auto", "nccl", "mpi"}, "auto, nccl or mpi");
}

}  // namespace tesserank::app
