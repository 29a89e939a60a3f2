#include "parallel/staged_communicator.hpp"

#include "kernels/error.hpp"
#include "parallel/pieces.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::parallel {
namespace {

using kernels::DType;

/// Pieces begin at multiples of this: whole elements of every type, and good places for copies.
constexpr std::size_t alignment = 64;

using Sizes = std::span<std::size_t const>;

StagedRound round_of(Sizes bytes, std::size_t begin, std::size_t limit) {
    StagedRound round{begin, {bytes.begin(), bytes.end()}};
    for (auto& size : round.bytes) size = std::min(limit, size - std::min(size, begin));
    return round;
}

/// Calls work(round) until pieces of these sizes are through, `limit` bytes of each at a time.
template <class Work>
void for_each_round(Sizes bytes, std::size_t limit, Work const& work) {
    std::size_t const longest = *std::ranges::max_element(bytes);
    for (std::size_t begin = 0; begin < longest; begin += limit) {
        work(round_of(bytes, begin, limit));
    }
}

/// The part of a rank's piece of the whole that travels in a round.
template <class Byte>
std::span<Byte> part_of(std::span<Byte> all, Sizes bytes, int rank, StagedRound const& round) {
    std::size_t const size = round.bytes[static_cast<std::size_t>(rank)];
    return size == 0 ? std::span<Byte>{} : piece_of(all, bytes, rank).subspan(round.begin, size);
}

std::vector<std::size_t> scaled(std::span<std::size_t const> counts, std::size_t factor) {
    std::vector<std::size_t> bytes(counts.begin(), counts.end());
    for (auto& size : bytes) size *= factor;
    return bytes;
}

}  // namespace

StagedCommunicator::StagedCommunicator(MpiCommunicator& ranks, kernels::Backend& backend,
                                       kernels::Buffer staging, MpiAccess access)
    : ranks_{ranks},
      backend_{backend},
      memory_{std::move(staging)},
      staging_{memory_.get(), memory_.get_deleter().bytes},
      access_{access} {
    auto const pieces = 2 * static_cast<std::size_t>(ranks.size());
    kernels::require(staging_.size() >= pieces * alignment, "the staging memory is too small");
}

bool StagedCommunicator::direct(DType dtype) {
    if (access_ == MpiAccess::staged || dtype != DType::f32 || size() == 1) return false;
    backend_.synchronize();
    return true;
}

template <class Work>
void StagedCommunicator::in_turn(std::span<std::byte> data, Work const& work) {
    std::size_t const limit = share(1);
    for (std::size_t first = 0; first < data.size(); first += limit) {
        auto const piece = data.subspan(first, std::min(limit, data.size() - first));
        work(piece, staging_.first(piece.size()));
    }
}

std::size_t StagedCommunicator::share(std::size_t pieces) const {
    return staging_.size() / pieces / alignment * alignment;
}

void StagedCommunicator::do_all_reduce(std::span<std::byte> data, DType dtype) {
    check_elements(data, dtype);
    if (size() == 1) return;
    if (direct(dtype)) return ranks_.all_reduce(data, dtype);
    in_turn(data, [&](std::span<std::byte> piece, std::span<std::byte> staged) {
        to_host(piece.data(), staged);
        ranks_.all_reduce(staged, dtype);
        to_device(staged, piece.data());
    });
}

void StagedCommunicator::do_reduce_scatter(std::span<std::byte> data, DType dtype,
                                           std::span<std::size_t const> counts,
                                           std::span<std::byte> mine) {
    std::size_t const width = size_of(dtype);
    check_elements(data, dtype);
    check_elements(mine, dtype);
    check_pieces(mine.size() / width, counts, data.size() / width, rank(), size());
    if (size() == 1) return copy(data, mine);
    if (direct(dtype)) return ranks_.reduce_scatter(data, dtype, counts, mine);
    auto const bytes = scaled(counts, width);
    auto const own_index = static_cast<std::size_t>(rank());
    for_each_round(bytes, share(bytes.size() + 1), [&](StagedRound const& round) {
        auto const whole = staging_.first(sum(round.bytes));
        to_host(data, bytes, round, whole);
        auto const own = staging_.subspan(whole.size(), round.bytes[own_index]);
        auto round_counts = round.bytes;
        for (auto& count : round_counts) count /= width;
        ranks_.reduce_scatter(whole, dtype, round_counts, own);
        to_device(own, mine.data() + round.begin);
    });
}

void StagedCommunicator::do_all_gather(std::span<std::byte const> mine,
                                       std::span<std::size_t const> bytes,
                                       std::span<std::byte> all) {
    check_pieces(mine.size(), bytes, all.size(), rank(), size());
    if (size() == 1) return copy(mine, all);
    if (direct(DType::f32)) {
        auto const slot = piece_of(all, bytes, rank());
        copy(mine, slot);
        backend_.synchronize();
        return ranks_.all_gather(slot, bytes, all);
    }
    for_each_round(bytes, share(bytes.size()), [&](StagedRound const& round) {
        auto const whole = staging_.first(sum(round.bytes));
        auto const own = piece_of(whole, round.bytes, rank());
        to_host(mine.data() + round.begin, own);
        ranks_.all_gather(own, round.bytes, whole);
        to_device(whole, all, bytes, round);
    });
}

void StagedCommunicator::do_reduce(std::span<std::byte> data, DType dtype, int root) {
    check_elements(data, dtype);
    check_root(root, size());
    if (size() == 1) return;
    if (direct(dtype)) return ranks_.reduce(data, dtype, root);
    in_turn(data, [&](std::span<std::byte> piece, std::span<std::byte> staged) {
        to_host(piece.data(), staged);
        ranks_.reduce(staged, dtype, root);
        if (rank() == root) to_device(staged, piece.data());
    });
}

void StagedCommunicator::do_gather(std::span<std::byte const> mine,
                                   std::span<std::size_t const> bytes, std::span<std::byte> all,
                                   int root) {
    check_pieces_at_root(mine.size(), bytes, all.size(), root, rank(), size());
    bool const here = rank() == root;
    if (size() == 1) return copy(mine, all);
    if (direct(DType::f32)) {
        if (!here) return ranks_.gather(mine, bytes, all, root);
        auto const slot = piece_of(all, bytes, root);
        copy(mine, slot);
        backend_.synchronize();
        return ranks_.gather(slot, bytes, all, root);
    }
    for_each_round(bytes, share(bytes.size()), [&](StagedRound const& round) {
        auto const whole = staging_.first(sum(round.bytes));
        auto const own = piece_of(whole, round.bytes, rank());
        to_host(mine.data() + round.begin, own);
        ranks_.gather(own, round.bytes, here ? whole : std::span<std::byte>{}, root);
        if (here) to_device(whole, all, bytes, round);
    });
}

void StagedCommunicator::do_scatter(std::span<std::byte const> all,
                                    std::span<std::size_t const> bytes, std::span<std::byte> mine,
                                    int root) {
    check_pieces_at_root(mine.size(), bytes, all.size(), root, rank(), size());
    bool const here = rank() == root;
    if (size() == 1) return copy(all, mine);
    if (direct(DType::f32)) {
        if (!here) return ranks_.scatter(all, bytes, mine, root);
        // MPI leaves the root's piece where it is.
        auto const slot = piece_of(all, bytes, root);
        ranks_.scatter(all, bytes, {const_cast<std::byte*>(slot.data()), slot.size()}, root);
        return copy(slot, mine);
    }
    for_each_round(bytes, share(bytes.size()), [&](StagedRound const& round) {
        auto const whole = staging_.first(sum(round.bytes));
        if (here) to_host(all, bytes, round, whole);
        auto const own = piece_of(whole, round.bytes, rank());
        ranks_.scatter(here ? whole : std::span<std::byte>{}, round.bytes, own, root);
        to_device(own, mine.data() + round.begin);
    });
}

void StagedCommunicator::do_transfer(std::span<std::byte> data, int from, int to) {
    check_root(from, size());
    check_root(to, size());
    if (from == to || (rank() != from && rank() != to)) return;
    if (direct(DType::f32)) return ranks_.transfer(data, from, to);
    in_turn(data, [&](std::span<std::byte> piece, std::span<std::byte> staged) {
        if (rank() == from) to_host(piece.data(), staged);
        ranks_.transfer(staged, from, to);
        if (rank() == to) to_device(staged, piece.data());
    });
}

void StagedCommunicator::do_broadcast(std::span<std::byte> data, int root) {
    check_root(root, size());
    if (size() == 1) return;
    if (direct(DType::f32)) return ranks_.broadcast(data, root);
    in_turn(data, [&](std::span<std::byte> piece, std::span<std::byte> staged) {
        if (rank() == root) to_host(piece.data(), staged);
        ranks_.broadcast(staged, root);
        if (rank() != root) to_device(staged, piece.data());
    });
}

// A pair's bytes travel in the same rounds at both ends, and MpiCommunicator sends nothing to a
// rank that gets nothing: ranks may have different numbers of rounds.
void StagedCommunicator::do_all_to_all(std::span<std::byte const> send,
                                       std::span<std::size_t const> send_bytes,
                                       std::span<std::byte> received,
                                       std::span<std::size_t const> received_bytes) {
    check_all_to_all(send.size(), send_bytes, received.size(), received_bytes, rank(), size());
    std::vector<std::size_t> longer(send_bytes.begin(), send_bytes.end());
    std::ranges::transform(longer, received_bytes, longer.begin(), std::ranges::max);
    std::size_t const limit = share(2 * longer.size());
    for_each_round(longer, limit, [&](StagedRound const& round) {
        auto const out = round_of(send_bytes, round.begin, limit);
        auto const in = round_of(received_bytes, round.begin, limit);
        auto const sent = staging_.first(sum(out.bytes));
        auto const got = staging_.subspan(sent.size(), sum(in.bytes));
        to_host(send, send_bytes, out, sent);
        ranks_.all_to_all(sent, out.bytes, got, in.bytes);
        to_device(got, received, received_bytes, in);
    });
}

void StagedCommunicator::to_host(std::byte const* source, std::span<std::byte> destination) {
    if (!destination.empty()) backend_.copy_to_host(source, destination);
}

void StagedCommunicator::to_device(std::span<std::byte const> source, std::byte* destination) {
    if (!source.empty()) backend_.copy_from_host(source, destination);
}

void StagedCommunicator::to_host(std::span<std::byte const> all, Sizes bytes,
                                 StagedRound const& round, std::span<std::byte> whole) {
    if (whole.size() == all.size()) return to_host(all.data(), whole);
    for (int r = 0; r < size(); ++r) {
        to_host(part_of(all, bytes, r, round).data(), piece_of(whole, round.bytes, r));
    }
}

void StagedCommunicator::to_device(std::span<std::byte const> whole, std::span<std::byte> all,
                                   Sizes bytes, StagedRound const& round) {
    if (whole.size() == all.size()) return to_device(whole, all.data());
    for (int r = 0; r < size(); ++r) {
        to_device(piece_of(whole, round.bytes, r), part_of(all, bytes, r, round).data());
    }
}

void StagedCommunicator::copy(std::span<std::byte const> from, std::span<std::byte> to) {
    if (from.data() == to.data()) return;
    in_turn(to, [&](std::span<std::byte> piece, std::span<std::byte> staged) {
        to_host(from.data() + (piece.data() - to.data()), staged);
        to_device(staged, piece.data());
    });
}

}  // namespace tesserank::parallel
