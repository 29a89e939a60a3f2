#include "app/device_choice.hpp"

#include "io/hex.hpp"
#include "kernels/error.hpp"

#include <algorithm>
#include <type_traits>

namespace tesserank::app {
namespace {

static_assert(std::is_trivially_copyable_v<RankGpu>, "sent as bytes");

template <std::size_t Size>
void set_text(std::array<char, Size>& to, std::string_view text) {
    to.fill('\0');
    std::ranges::copy(text.substr(0, Size - 1), to.begin());
}

std::string capability(int major, int minor) {
    return std::to_string(major) + "." + std::to_string(minor);
}

/// "0, 1 and 4"
std::string list_ranks(std::span<int const> ranks) {
    std::string text;
    for (std::size_t i = 0; i < ranks.size(); ++i) {
        if (i > 0) text += i + 1 == ranks.size() ? " and " : ", ";
        text += std::to_string(ranks[i]);
    }
    return text;
}

/// Which ranks share a device; empty: none.
std::string why_shared(std::span<RankGpu const> gpus) {
    for (int rank = 0; rank < static_cast<int>(gpus.size()); ++rank) {
        auto const ranks = ranks_on_device(gpus, rank);
        if (ranks.size() == 1) continue;
        return "ranks " + list_ranks(ranks) + " share one GPU (" +
               describe(gpus[static_cast<std::size_t>(rank)]) + ")";
    }
    return {};
}

std::string why_no_nccl(std::span<RankGpu const> gpus) {
    auto const without = std::ranges::find(gpus, false, &RankGpu::has_nccl);
    if (without == gpus.end()) return {};
    return "rank " + std::to_string(without - gpus.begin()) +
           " has no NCCL: " + without->why_no_nccl.data();
}

}  // namespace

int rank_on_node(std::span<int const> nodes, int rank) {
    auto const before = nodes.first(static_cast<std::size_t>(rank));
    return static_cast<int>(std::ranges::count(before, nodes[static_cast<std::size_t>(rank)]));
}

void pick_device(kernels::CudaDevices const& visible, int rank_on_node, RankGpu& gpu) {
    std::vector<kernels::CudaDevice const*> fit;
    for (auto const& device : visible.list) {
        if (device.major >= kernels::oldest_cuda_capability) fit.push_back(&device);
    }
    gpu.is_there = gpu.is_there || !visible.list.empty();
    if (visible.list.empty()) return set_text(gpu.why_not, visible.why_none);
    if (fit.empty()) {
        auto const& device = visible.list.front();
        return set_text(gpu.why_not, device.name + " has compute capability " +
                                         capability(device.major, device.minor) +
                                         ", but the kernels need 8.0 or newer");
    }
    auto const& device = *fit[static_cast<std::size_t>(rank_on_node) % fit.size()];
    gpu.device = device.index;
    gpu.major = device.major;
    gpu.minor = device.minor;
    gpu.memory_bytes = device.memory_bytes;
    gpu.uuid = device.uuid;
    set_text(gpu.name, device.name);
    set_text(gpu.pci_bus_id, device.pci_bus_id);
}

std::string why_not_cuda(std::span<RankGpu const> gpus) {
    auto const without = std::ranges::find(gpus, -1, &RankGpu::device);
    if (without == gpus.end()) return {};
    std::string const why = without->why_not.data();
    bool const all = std::ranges::all_of(
        gpus, [&](RankGpu const& gpu) { return gpu.device == -1 && why == gpu.why_not.data(); });
    return (all ? "" : "rank " + std::to_string(without - gpus.begin()) + ": ") + why;
}

Choice choose_backend(std::string_view wish, std::span<RankGpu const> gpus) {
    if (wish != "auto" && wish != "cuda") return {std::string(wish)};
    auto const why_not = why_not_cuda(gpus);
    if (why_not.empty()) return {"cuda"};
    if (wish == "cuda") throw kernels::SystemError("--backend cuda, but no GPU: " + why_not);
    bool const is_there = std::ranges::any_of(gpus, &RankGpu::is_there);
    return {"kokkos", is_there ? "GPUs are not used: " + why_not : ""};
}

Choice choose_comm(std::string_view wish, std::string_view backend, std::span<RankGpu const> gpus) {
    if (wish == "mpi") return {"mpi"};
    if (backend != "cuda") {
        if (wish == "auto") return {"mpi"};
        throw kernels::SystemError("--comm nccl is for the backend cuda, but this run is on " +
                                   std::string(backend));
    }
    auto const shared = why_shared(gpus);
    if (wish == "nccl" && !shared.empty()) {
        throw kernels::SystemError(
            shared +
            ", but NCCL needs one for each rank. Start as many ranks as there are GPUs, give each "
            "task its own (srun --gpus-per-task=1), or use --comm mpi");
    }
    auto const missing = why_no_nccl(gpus);
    if (wish == "nccl" && !missing.empty()) throw kernels::SystemError("--comm nccl: " + missing);
    if (wish == "nccl") return {"nccl"};
    if (gpus.size() == 1) return {"mpi"};  // nothing is sent
    auto const& reason = shared.empty() ? missing : shared;
    if (!reason.empty()) return {"mpi", "tensors go over MPI: " + reason};
    return {"nccl"};
}

std::vector<int> ranks_on_device(std::span<RankGpu const> gpus, int rank) {
    auto const& mine = gpus[static_cast<std::size_t>(rank)];
    std::vector<int> ranks;
    for (int other = 0; other < static_cast<int>(gpus.size()); ++other) {
        auto const& gpu = gpus[static_cast<std::size_t>(other)];
        bool const same = mine.device != -1 && gpu.device != -1 && gpu.uuid == mine.uuid;
        if (same || other == rank) ranks.push_back(other);
    }
    return ranks;
}

std::string uuid_text(std::array<std::byte, 16> const& uuid) {
    std::string text = "GPU";
    for (std::size_t i = 0; i < uuid.size(); ++i) {
        if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        text += io::hex_text(std::span(uuid).subspan(i, 1));
    }
    return text;
}

std::string describe(RankGpu const& gpu) {
    return std::string(gpu.name.data()) + ", " + uuid_text(gpu.uuid) + ", " + gpu.pci_bus_id.data();
}

std::vector<std::string> find_far_ranks(std::span<RankGpu const> gpus,
                                        std::span<RankPlace const> places) {
    std::vector<std::string> warnings;
    for (std::size_t rank = 0; rank < gpus.size(); ++rank) {
        auto const& near = gpus[rank].near_cores;
        auto const& cores = places[rank].cores;
        if (near.none() || cores.none() || (near & cores).any()) continue;
        warnings.push_back("rank " + std::to_string(rank) + " runs on cores " + list_cores(cores) +
                           ", but its GPU is next to " + list_cores(near) +
                           ": bind it there (srun --gpu-bind=closest, mpirun --map-by numa)");
    }
    return warnings;
}

}  // namespace tesserank::app
