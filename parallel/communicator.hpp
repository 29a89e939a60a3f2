#pragma once

#include "kernels/dtype.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

namespace tesserank::parallel {

class CollectiveRing;
class PeerSums;

/// Collectives over the ranks of one model, on memory of the backend's device. Every call is
/// collective: all ranks call the same one with matching sizes, and each notes it before it begins
/// (see CollectiveRing); what carries the data is what derives from this. Sums of bf16 and f16 are
/// added in f32 and rounded once at the end, but by NCCL, which rounds where its algorithm passes a
/// sum on (see NcclCommunicator). On one rank nothing is sent and callers need no special case.
/// Counts are elements (or bytes for `std::byte`) and may be zero on some ranks, or on all. Errors:
/// SystemError with the library's text.
class Communicator {
  public:
    virtual ~Communicator() = default;
    virtual int rank() const = 0;
    virtual int size() const = 0;

    /// Whether calls are queued behind the operations of the backend, as its operations are, and
    /// the host need not wait before or after them.
    virtual bool queued() const { return false; }

    /// For who waits for queued work: to be called again and again meanwhile, with the seconds that
    /// the wait has taken. Errors: SystemError when a rank or the library failed, or the work takes
    /// so long that it will not end; the queued work then ends unfinished.
    void check(double seconds_waited);

    /// Tells the library of memory that many calls will use, so that it can reach it without
    /// copies. Holds until the result dies, which must be before the memory and this communicator.
    /// Collective, with the same size everywhere.
    virtual std::shared_ptr<void> register_memory(std::span<std::byte> /*memory*/) { return {}; }

    /// data becomes the sum over the ranks, the same bits on every rank (but for the payload of a
    /// NaN). Sends 2 (P-1)/P of its bytes.
    void all_reduce(std::span<std::byte> data, kernels::DType dtype);

    /// `mine` becomes piece `rank()` of the sum over the ranks of `data`; piece r has counts[r]
    /// elements. Sends (P-1)/P of the bytes of `data`, whose content is undefined afterwards.
    void reduce_scatter(std::span<std::byte> data, kernels::DType dtype,
                        std::span<std::size_t const> counts, std::span<std::byte> mine);

    /// `all` becomes the pieces of all ranks in rank order; piece r has bytes[r] bytes. `mine` may
    /// be piece rank() of `all` itself, which saves a copy. Sends (P-1)/P of the bytes of `all`.
    void all_gather(std::span<std::byte const> mine, std::span<std::size_t const> bytes,
                    std::span<std::byte> all);

    /// root's data becomes the sum over the ranks; that of the others is undefined afterwards. Each
    /// other rank sends its bytes at most once.
    void reduce(std::span<std::byte> data, kernels::DType dtype, int root);

    /// On root `all` becomes the pieces of all ranks in rank order; piece r has bytes[r] bytes.
    /// `mine` may be piece root of `all` itself. Elsewhere `all` is not used. Each other rank sends
    /// its piece.
    void gather(std::span<std::byte const> mine, std::span<std::size_t const> bytes,
                std::span<std::byte> all, int root);

    /// The way back: `mine` becomes piece rank() of root's `all`. On root `mine` may be its piece
    /// of `all` itself; elsewhere `all` is not used.
    void scatter(std::span<std::byte const> all, std::span<std::size_t const> bytes,
                 std::span<std::byte> mine, int root);

    /// Rank `to`'s data becomes rank `from`'s. The data of other ranks is not used.
    void transfer(std::span<std::byte> data, int from, int to);

    /// data becomes root's data.
    void broadcast(std::span<std::byte> data, int root);

    /// send holds one piece for each rank, in rank order, of send_bytes[r] bytes; received
    /// likewise.
    void all_to_all(std::span<std::byte const> send, std::span<std::size_t const> send_bytes,
                    std::span<std::byte> received, std::span<std::size_t const> received_bytes);

    /// Where calls of collectives are noted; none: nowhere.
    virtual CollectiveRing* ring() const { return nullptr; }

    /// What takes short sums off this communicator that a norm follows; none: nothing does. On all
    /// ranks or on none.
    void set_peers(std::shared_ptr<PeerSums> peers) { peers_ = std::move(peers); }
    PeerSums* peers() const { return peers_.get(); }

  private:
    virtual void do_check(double /*seconds_waited*/) {}
    virtual void do_all_reduce(std::span<std::byte> data, kernels::DType dtype) = 0;
    virtual void do_reduce_scatter(std::span<std::byte> data, kernels::DType dtype,
                                   std::span<std::size_t const> counts,
                                   std::span<std::byte> mine) = 0;
    virtual void do_all_gather(std::span<std::byte const> mine, std::span<std::size_t const> bytes,
                               std::span<std::byte> all) = 0;
    virtual void do_reduce(std::span<std::byte> data, kernels::DType dtype, int root) = 0;
    virtual void do_gather(std::span<std::byte const> mine, std::span<std::size_t const> bytes,
                           std::span<std::byte> all, int root) = 0;
    virtual void do_scatter(std::span<std::byte const> all, std::span<std::size_t const> bytes,
                            std::span<std::byte> mine, int root) = 0;
    virtual void do_transfer(std::span<std::byte> data, int from, int to) = 0;
    virtual void do_broadcast(std::span<std::byte> data, int root) = 0;
    virtual void do_all_to_all(std::span<std::byte const> send,
                               std::span<std::size_t const> send_bytes,
                               std::span<std::byte> received,
                               std::span<std::size_t const> received_bytes) = 0;

    std::shared_ptr<PeerSums> peers_;
};

}  // namespace tesserank::parallel
