#include "app/tensor_communicator.hpp"

#include "kernels/cuda_device.hpp"
#include "parallel/mpi_library.hpp"
#include "parallel/nccl.hpp"
#include "parallel/self_communicator.hpp"
#include "parallel/staged_communicator.hpp"

namespace tesserank::app {
namespace {

constexpr std::size_t staging_bytes = std::size_t{4} << 20U;

}  // namespace

std::unique_ptr<parallel::Communicator> make_tensor_communicator(std::string_view comm,
                                                                 kernels::Backend& backend,
                                                                 parallel::MpiCommunicator& ranks,
                                                                 double queue_seconds) {
    auto* const stream = kernels::cuda_stream_of(backend);
    if (stream == nullptr) return nullptr;
    if (comm == "nccl")
        return parallel::make_nccl_communicator(ranks, stream, {.seconds = queue_seconds});
    if (ranks.size() == 1) return std::make_unique<parallel::SelfCommunicator>(backend);
    auto const access =
        parallel::mpi_reaches_cuda() ? parallel::MpiAccess::direct : parallel::MpiAccess::staged;
    return std::make_unique<parallel::StagedCommunicator>(
        ranks, backend, backend.allocate_staging(staging_bytes), access);
}

}  // namespace tesserank::app
