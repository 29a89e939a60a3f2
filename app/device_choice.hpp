#pragma once

#include "app/machine.hpp"
#include "kernels/cuda_device.hpp"

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::app {

/// What one rank has of GPUs; plain bytes, to be sent as they are.
struct RankGpu {
    int device = -1;        ///< which one it takes, as it counts them; -1: none
    bool is_there = false;  ///< the machine has a GPU, be it one that cannot be used
    bool has_nccl = false;
    int major = 0, minor = 0;      ///< compute capability
    std::size_t memory_bytes = 0;  ///< of the whole device
    std::array<std::byte, 16> uuid{};
    std::array<char, 96> name{};
    std::array<char, 32> pci_bus_id{};
    std::array<char, 320> why_not{};  ///< when it takes none
    std::array<char, 320> why_no_nccl{};
    CoreSet near_cores;  ///< those on the device's side of the machine; none: unknown
};

/// How many of the ranks before `rank` are on its node; `nodes` as MpiCommunicator::nodes().
int rank_on_node(std::span<int const> nodes, int rank);

/// Deals the devices that a rank sees, and that are new enough, out to the ranks of its node.
/// Fills device and what describes it, or why_not.
void pick_device(kernels::CudaDevices const& visible, int rank_on_node, RankGpu& gpu);

/// The first rank that has no GPU to compute on, and why; empty: all have one.
std::string why_not_cuda(std::span<RankGpu const> gpus);

/// A word of the command line, and what people should know of why.
struct Choice {
    std::string name, note{};
};

/// Of --backend. Errors: SystemError when "cuda" is asked for and a rank has no GPU.
Choice choose_backend(std::string_view wish, std::span<RankGpu const> gpus);
/// Of --comm: "nccl" or "mpi". Errors: SystemError when "nccl" is asked for and the backend is
/// another one, ranks share a device, or a rank has no NCCL.
Choice choose_comm(std::string_view wish, std::string_view backend, std::span<RankGpu const> gpus);

/// Which ranks, one at least, use the device of this one.
std::vector<int> ranks_on_device(std::span<RankGpu const> gpus, int rank);

/// "GPU-8d0f4a2c-...", as nvidia-smi and CUDA_VISIBLE_DEVICES name it.
std::string uuid_text(std::array<std::byte, 16> const& uuid);
/// Name, UUID and bus of a rank's device.
std::string describe(RankGpu const& gpu);

/// Ranks whose cores are all on another side of the machine than their device.
std::vector<std::string> find_far_ranks(std::span<RankGpu const> gpus,
                                        std::span<RankPlace const> places);

}  // namespace tesserank::app
