#include "parallel/communicator.hpp"

#include "parallel/collective_scope.hpp"
#include "parallel/peer_sums.hpp"
#include "parallel/pieces.hpp"

#include <exception>

namespace tesserank::parallel {

using Kind = CollectiveCall::Kind;

namespace {

/// Where a call fails, ranks stop calling: kernels that wait for theirs would never end, nor would
/// who waits for those kernels on the way out.
class StopsPeersOnFailure {
  public:
    explicit StopsPeersOnFailure(PeerSums* peers)
        : peers_{peers}, exceptions_{std::uncaught_exceptions()} {}
    ~StopsPeersOnFailure() {
        if (peers_ != nullptr && std::uncaught_exceptions() > exceptions_) peers_->stop();
    }
    StopsPeersOnFailure(StopsPeersOnFailure const&) = delete;
    StopsPeersOnFailure& operator=(StopsPeersOnFailure const&) = delete;

  private:
    PeerSums* peers_;
    int exceptions_;
};

/// What surrounds every collective.
class Call {
  public:
    Call(Communicator const& ranks, CollectiveCall const& call)
        : guard_(ranks.peers()), scope_(ranks.ring(), call) {}

  private:
    StopsPeersOnFailure guard_;
    CollectiveScope scope_;
};

}  // namespace

void Communicator::check(double seconds_waited) {
    StopsPeersOnFailure const guard(peers());
    if (auto* const notes = ring()) notes->wait_for_queued(seconds_waited);
    if (peers_ != nullptr) peers_->check(seconds_waited);
    do_check(seconds_waited);
}

void Communicator::all_reduce(std::span<std::byte> data, kernels::DType dtype) {
    Call const call(*this, {.kind = Kind::all_reduce, .bytes = data.size(), .dtype = dtype});
    do_all_reduce(data, dtype);
}

void Communicator::reduce_scatter(std::span<std::byte> data, kernels::DType dtype,
                                  std::span<std::size_t const> counts, std::span<std::byte> mine) {
    Call const call(*this, {.kind = Kind::reduce_scatter,
                            .bytes = data.size(),
                            .dtype = dtype,
                            .cut = hash_of_pieces(counts)});
    do_reduce_scatter(data, dtype, counts, mine);
}

void Communicator::all_gather(std::span<std::byte const> mine, std::span<std::size_t const> bytes,
                              std::span<std::byte> all) {
    Call const call(*this,
                    {.kind = Kind::all_gather, .bytes = all.size(), .cut = hash_of_pieces(bytes)});
    do_all_gather(mine, bytes, all);
}

void Communicator::reduce(std::span<std::byte> data, kernels::DType dtype, int root) {
    Call const call(*this,
                    {.kind = Kind::reduce, .bytes = data.size(), .dtype = dtype, .to = root});
    do_reduce(data, dtype, root);
}

void Communicator::gather(std::span<std::byte const> mine, std::span<std::size_t const> bytes,
                          std::span<std::byte> all, int root) {
    Call const call(
        *this,
        {.kind = Kind::gather, .bytes = sum(bytes), .to = root, .cut = hash_of_pieces(bytes)});
    do_gather(mine, bytes, all, root);
}

void Communicator::scatter(std::span<std::byte const> all, std::span<std::size_t const> bytes,
                           std::span<std::byte> mine, int root) {
    Call const call(
        *this,
        {.kind = Kind::scatter, .bytes = sum(bytes), .from = root, .cut = hash_of_pieces(bytes)});
    do_scatter(all, bytes, mine, root);
}

void Communicator::transfer(std::span<std::byte> data, int from, int to) {
    bool const takes_part = rank() == from || rank() == to;
    Call const call(*this, {.kind = Kind::transfer,
                            .bytes = data.size(),
                            .bytes_alike = takes_part,
                            .from = from,
                            .to = to});
    do_transfer(data, from, to);
}

void Communicator::broadcast(std::span<std::byte> data, int root) {
    Call const call(*this, {.kind = Kind::broadcast, .bytes = data.size(), .from = root});
    do_broadcast(data, root);
}

void Communicator::all_to_all(std::span<std::byte const> send,
                              std::span<std::size_t const> send_bytes,
                              std::span<std::byte> received,
                              std::span<std::size_t const> received_bytes) {
    Call const call(*this, {.kind = Kind::all_to_all, .bytes = send.size(), .bytes_alike = false});
    do_all_to_all(send, send_bytes, received, received_bytes);
}

}  // namespace tesserank::parallel
