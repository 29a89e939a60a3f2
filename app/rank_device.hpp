#pragma once

#include "app/device_choice.hpp"
#include "app/device_options.hpp"
#include "kernels/backend.hpp"
#include "model/forward_memory.hpp"
#include "parallel/mpi_communicator.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::app {

/// What each rank has of GPUs, on every rank. Touches no device. Collective.
std::vector<RankGpu> gather_gpus(parallel::MpiCommunicator& ranks);

/// What the command line says of devices.
struct DeviceWish {
    std::string_view backend, comm;  ///< words of --backend and --comm
    FusedOptions fused = {};
    /// How long what the device has queued may stand still before it is given up.
    double queue_seconds = 0.0;
};

/// Where this rank computes, and what carries its tensors to the others.
class RankDevice {
  public:
    /// Collective.
    /// Errors: the same on every rank: SystemError when what is asked for is not there.
    RankDevice(DeviceWish const& wish, parallel::MpiCommunicator& ranks);
    ~RankDevice();
    RankDevice(RankDevice const&) = delete;
    RankDevice& operator=(RankDevice const&) = delete;

    kernels::Backend& backend() { return *backend_; }
    /// For memory of the backend.
    parallel::Communicator& tensors() { return tensors_ ? *tensors_ : ranks_; }

    /// Of the memory that is free, what this rank may take: others use the device, or on a host
    /// backend the node, as well.
    std::size_t memory_share() const;

    /// The same bounds with what the device makes possible: bf16 within modules, and decoding
    /// without the host between two steps.
    model::TransformerOptions options(model::TransformerOptions bounds);

    /// "backend cuda, comm nccl", and what people should know of it.
    std::string summary() const;

  private:
    void connect(std::string_view comm);
    void join_peers(DeviceWish const& wish);
    void note(std::string const& text);

    std::string backend_name_, comm_name_, notes_;
    double queue_seconds_;
    std::size_t sharers_ = 1;
    parallel::MpiCommunicator& ranks_;
    std::unique_ptr<kernels::Backend> backend_;
    std::unique_ptr<parallel::Communicator> tensors_;  ///< none: MPI reaches the memory itself
};

}  // namespace tesserank::app
