#include "app/device_options.hpp"

#include "app/usage_error.hpp"

#include <algorithm>
#include <initializer_list>
#include <string>

namespace tesserank::app {
namespace {

void check_word(std::string_view option, std::string_view word,
                std::initializer_list<std::string_view> allowed, std::string_view expected) {
    if (std::ranges::find(allowed, word) != allowed.end()) return;
    throw UsageError(std::string(option) + " is \"" + std::string(word) + "\", expected " +
                     std::string(expected));
}

}  // namespace

void check_backend_word(std::string_view backend) {
    check_word("--backend", backend, {"auto", "cuda", "kokkos", "reference"},
               "auto, cuda, kokkos or reference");
}

void check_comm_word(std::string_view comm) {
    check_word("--comm", comm, {"auto", "nccl", "mpi"}, "auto, nccl or mpi");
}

}  // namespace tesserank::app
