#include "parallel/peer_sums.hpp"

#include "kernels/error.hpp"
#include "parallel/agree.hpp"
#include "parallel/collective_scope.hpp"

#include <exception>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <vector>

namespace tesserank::parallel {
namespace {

using kernels::PeerNorms;
using kernels::PeerPlace;
using kernels::SystemError;

void check_place(MpiCommunicator const& world) {
    if (world.size() > PeerPlace::most_ranks) {
        throw SystemError(std::to_string(world.size()) +
                          " ranks: sums within kernels are for at most " +
                          std::to_string(PeerPlace::most_ranks));
    }
    if (world.ranks_on_node() < world.size()) {
        throw SystemError("the ranks are on several nodes: sums within kernels are for one");
    }
}

std::vector<PeerNorms::Address> gather(MpiCommunicator& world, PeerNorms::Address const& mine) {
    std::vector<PeerNorms::Address> all(static_cast<std::size_t>(world.size()));
    std::vector<std::size_t> const bytes(all.size(), sizeof mine);
    world.all_gather(std::as_bytes(std::span(mine)), bytes, std::as_writable_bytes(std::span(all)));
    return all;
}

CollectiveCall sum_of(kernels::TensorView const& partial) {
    return {
        .kind = CollectiveCall::Kind::all_reduce, .bytes = partial.bytes(), .dtype = partial.dtype};
}

}  // namespace

PeerSums::PeerSums(MpiCommunicator& world, kernels::Backend& backend, PeerSumOptions const& options)
    : world_{world}, backend_{backend}, options_{options}, exceptions_{std::uncaught_exceptions()} {
    PeerPlace const place{.rank = world.rank(), .ranks = world.size(), .sharers = options.sharers};
    PeerNorms::Address address{};
    agree(world, [&] {
        check_place(world);
        norms_ = backend.make_peer_norms(place);
        kernels::require(norms_ != nullptr, "a host has no peers");
        address = norms_->address();
    });
    connect(gather(world, address));
    most_rows_ =
        static_cast<std::size_t>(world.all_min(static_cast<long long>(norms_->most_rows())));
}

PeerSums::~PeerSums() {
    if (norms_ == nullptr || std::uncaught_exceptions() > exceptions_) return;
    try {
        backend_.synchronize();
    } catch (std::exception const&) {
        // Who waited for it before has told of it.
    }
    disconnect();
}

void PeerSums::connect(std::span<PeerNorms::Address const> addresses) {
    try {
        agree(world_, [&] { norms_->connect(addresses); });
    } catch (Agreed const&) {
        disconnect();
        throw;
    }
}

void PeerSums::disconnect() {
    norms_->disconnect();
    world_.barrier();
}

bool PeerSums::takes(kernels::ConstTensorView const& partial) const {
    return partial.dtype == kernels::DType::f32 && partial.rows <= most_rows_ &&
           partial.cols <= norms_->most_cols() && partial.bytes() <= options_.most_bytes;
}

void PeerSums::add_rms_norm(kernels::TensorView const& residual, kernels::TensorView const& partial,
                            kernels::ConstTensorView const& weight, float eps,
                            kernels::TensorView const& y) {
    kernels::require(ended_.empty(), "a sum is queued behind one that was ended");
    CollectiveScope const scope(world_.ring(), sum_of(partial));
    norms_->add_rms_norm(residual, partial, weight, eps, y);
}

// What failed stays so: kernels that are still queued end without results, and may be waited for.
void PeerSums::check(double seconds_waited) {
    if (ended_.empty() && seconds_waited <= options_.seconds) return;
    if (ended_.empty()) {
        auto const missing = norms_->missing();
        if (!missing) return;
        stop();
        std::ostringstream text;
        text << "rank " << world_.rank() << ": a sum over the ranks has no end after "
             << options_.seconds << " s: rank " << *missing << " does not come";
        ended_ = text.str();
    }
    throw SystemError(ended_);
}

}  // namespace tesserank::parallel
