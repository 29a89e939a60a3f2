#include "app/rank_device.hpp"

#include "app/backend.hpp"
#include "app/find_gpu.hpp"
#include "app/plan_options.hpp"
#include "app/rank_places.hpp"
#include "app/tensor_communicator.hpp"
#include "kernels/error.hpp"
#include "parallel/agree.hpp"
#include "parallel/peer_sums.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <span>

namespace tesserank::app {
namespace {

/// Why sums within kernels are not tried, whatever the device; empty: they are.
std::string why_no_peers(std::string_view use, int ranks, std::string_view comm) {
    if (ranks == 1) return "one rank has nothing to add up";
    if (use == "auto" && comm != "nccl") return "auto takes them with --comm nccl only";
    return {};
}

}  // namespace

std::vector<RankGpu> gather_gpus(parallel::MpiCommunicator& ranks) {
    auto const mine = find_gpu(rank_on_node(ranks.nodes(), ranks.rank()));
    std::vector<RankGpu> all(static_cast<std::size_t>(ranks.size()));
    std::vector<std::size_t> const bytes(all.size(), sizeof(RankGpu));
    ranks.all_gather(std::as_bytes(std::span(&mine, 1)), bytes,
                     std::as_writable_bytes(std::span(all)));
    return all;
}

RankDevice::RankDevice(DeviceWish const& wish, parallel::MpiCommunicator& ranks)
    : queue_seconds_{wish.queue_seconds}, ranks_{ranks} {
    // Looking for GPUs starts CUDA: not where none is wanted.
    bool const may_take_gpus = wish.backend == "auto" || wish.backend == "cuda";
    auto const gpus = may_take_gpus ? gather_gpus(ranks)
                                    : std::vector<RankGpu>(static_cast<std::size_t>(ranks.size()));
    auto const places = gather_places(ranks);
    auto const& mine = gpus[static_cast<std::size_t>(ranks.rank())];
    std::vector<std::string> notes;
    parallel::agree(ranks, [&] {
        auto const chosen = choose_backend(wish.backend, gpus);
        auto const carrier = choose_comm(wish.comm, chosen.name, gpus);
        backend_name_ = chosen.name;
        comm_name_ = carrier.name;
        notes = {chosen.note, carrier.note};
        backend_ = make_backend(chosen.name, mine.device);
    });
    bool const on_gpu = backend_name_ == "cuda";
    if (on_gpu) std::ranges::move(find_far_ranks(gpus, places), std::back_inserter(notes));
    for (auto const& text : notes) note(text);
    sharers_ = on_gpu ? ranks_on_device(gpus, ranks.rank()).size()
                      : static_cast<std::size_t>(ranks.ranks_on_node());
    connect(wish.comm);
    join_peers(wish);
    if (!tensors().queued() && tensors().peers() == nullptr) return;
    // What the device waits for may be a rank that failed.
    backend_->set_watch([carrier = &tensors()](double seconds) { carrier->check(seconds); });
}

/// Where nobody has asked for NCCL, a start that fails is no reason to end.
void RankDevice::connect(std::string_view comm) {
    std::string why_not;
    try {
        tensors_ = make_tensor_communicator(comm_name_, *backend_, ranks_, queue_seconds_);
    } catch (kernels::SystemError const& error) {
        if (comm != "auto" || comm_name_ != "nccl") throw;
        why_not = error.what();
    }
    if (comm != "auto" || comm_name_ != "nccl") return;
    if (ranks_.all_min(why_not.empty() ? 1 : 0) == 1) return;
    comm_name_ = "mpi";
    note("tensors go over MPI: " + why_not);
    tensors_ = make_tensor_communicator(comm_name_, *backend_, ranks_, queue_seconds_);
}

/// Ranks that share a device take turns on it: a kernel that waits for another rank's waits for its
/// turn to end.
void RankDevice::join_peers(DeviceWish const& wish) {
    if (wish.fused.use == "no") return;
    bool const if_possible = wish.fused.use == "auto";
    auto const why_not = why_no_peers(wish.fused.use, ranks_.size(), comm_name_);
    if (!why_not.empty()) return note("no all-reduces within kernels: " + why_not);
    parallel::agree(ranks_, [this] {
        if (backend_name_ == "cuda") return;
        throw kernels::InputError(
            "--fused-all-reduce yes is for --backend cuda, but this run is on " + backend_name_);
    });
    parallel::PeerSumOptions options{.sharers = sharers_, .seconds = queue_seconds_};
    options.most_bytes = wish.fused.limit.value_or(options.most_bytes);
    try {
        tensors().set_peers(std::make_shared<parallel::PeerSums>(ranks_, *backend_, options));
        note("all-reduces up to " + std::to_string(options.most_bytes) + " bytes within kernels");
    } catch (kernels::SystemError const& error) {
        if (!if_possible) throw;
        note(std::string("no all-reduces within kernels: ") + error.what());
    }
}

void RankDevice::note(std::string const& text) {
    if (!text.empty()) notes_ += (notes_.empty() ? "" : "; ") + text;
}

RankDevice::~RankDevice() { backend_->set_watch(nullptr); }

std::size_t RankDevice::memory_share() const { return backend_->memory_available() / sharers_; }

model::TransformerOptions RankDevice::options(model::TransformerOptions bounds) {
    if (backend_->resident_decode() == nullptr) return bounds;
    return options_on_gpus(bounds, tensors().queued());
}

std::string RankDevice::summary() const {
    bool const says_comm = backend_name_ == "cuda" && ranks_.size() > 1;
    return "backend " + backend_name_ + (says_comm ? ", comm " + comm_name_ : "") +
           (notes_.empty() ? "" : " (" + notes_ + ")");
}

}  // namespace tesserank::app
