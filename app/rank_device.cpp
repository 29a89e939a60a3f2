#include "app/rank_device.hpp"

#include "app/backend.hpp"
#include "app/pci_cores.hpp"
#include "app/rank_places.hpp"
#include "app/tensor_communicator.hpp"
#include "kernels/cuda_device.hpp"
#include "parallel/agree.hpp"
#include "parallel/nccl.hpp"

#include <algorithm>
#include <filesystem>
#include <span>

namespace tesserank::app {
namespace {

template <std::size_t Size>
void set_text(std::array<char, Size>& to, std::string_view text) {
    std::ranges::copy(text.substr(0, Size - 1), to.begin());
}

RankGpu find_gpu(parallel::MpiCommunicator const& ranks) {
    RankGpu gpu;
    // So that a GPU is missed that the CUDA libraries do not find.
    std::error_code ignored;
    gpu.is_there = std::filesystem::exists("/proc/driver/nvidia/version", ignored);
    pick_device(kernels::find_cuda_devices(), rank_on_node(ranks.nodes(), ranks.rank()), gpu);
    if (gpu.device == -1) return gpu;
    if (auto const libraries = kernels::find_cuda_libraries(); !libraries.missing.empty()) {
        gpu.device = -1;
        set_text(gpu.why_not, libraries.missing);
    }
    auto const nccl = parallel::find_nccl();
    gpu.has_nccl = nccl.why_none.empty();
    set_text(gpu.why_no_nccl, nccl.why_none);
    gpu.near_cores = cores_near_pci(gpu.pci_bus_id.data());
    return gpu;
}

}  // namespace

std::vector<RankGpu> gather_gpus(parallel::MpiCommunicator& ranks) {
    auto const mine = find_gpu(ranks);
    std::vector<RankGpu> all(static_cast<std::size_t>(ranks.size()));
    std::vector<std::size_t> const bytes(all.size(), sizeof(RankGpu));
    ranks.all_gather(std::as_bytes(std::span(&mine, 1)), bytes,
                     std::as_writable_bytes(std::span(all)));
    return all;
}

RankDevice::RankDevice(std::string_view backend, std::string_view comm,
                       parallel::MpiCommunicator& ranks)
    : ranks_{ranks} {
    auto const gpus = gather_gpus(ranks);
    auto const places = gather_places(ranks);
    auto const& mine = gpus[static_cast<std::size_t>(ranks.rank())];
    std::vector<std::string> notes;
    parallel::agree(ranks, [&] {
        auto const chosen = choose_backend(backend, gpus);
        auto const carrier = choose_comm(comm, chosen.name, gpus);
        backend_name_ = chosen.name;
        comm_name_ = carrier.name;
        notes = {chosen.note, carrier.note};
        backend_ = make_backend(chosen.name, mine.device);
    });
    bool const on_gpu = backend_name_ == "cuda";
    if (on_gpu) std::ranges::move(find_far_ranks(gpus, places), std::back_inserter(notes));
    for (auto const& note : notes) notes_ += note.empty() ? "" : "; " + note;
    sharers_ = on_gpu ? ranks_on_device(gpus, ranks.rank()).size()
                      : static_cast<std::size_t>(ranks.ranks_on_node());
    tensors_ = make_tensor_communicator(comm_name_, *backend_, ranks);
}

std::size_t RankDevice::memory_share() const { return backend_->memory_available() / sharers_; }

std::string RankDevice::summary() const {
    bool const says_comm = backend_name_ == "cuda" && ranks_.size() > 1;
    return "backend " + backend_name_ + (says_comm ? ", comm " + comm_name_ : "") + notes_;
}

}  // namespace tesserank::app
