#include "parallel/mpi_communicator.hpp"

#include "kernels/error.hpp"
#include "parallel/collective_check.hpp"
#include "parallel/collective_scope.hpp"
#include "parallel/mpi_check.hpp"
#include "parallel/pieces.hpp"

#include <mpi.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

namespace tesserank::parallel {
namespace {

using kernels::DType;
using kernels::require;

/// bf16 and f16 are summed in pieces of this many elements: 4 MiB of f32, which a cache holds.
constexpr std::size_t staged_elements = std::size_t{1} << 20;

/// Calls work(first, count) for the consecutive runs of at most `limit` out of `total` things.
template <class Work>
void for_each_chunk(std::size_t total, std::size_t limit, Work const& work) {
    for (std::size_t first = 0; first < total; first += limit) {
        work(first, static_cast<int>(std::min(limit, total - first)));
    }
}

void widen(std::byte const* source, DType dtype, std::size_t count, float* destination) {
    kernels::visit_dtype(dtype, [&]<class T>(T) {
        std::transform(reinterpret_cast<T const*>(source),
                       reinterpret_cast<T const*>(source) + count, destination,
                       [](T value) { return kernels::to_float(value); });
    });
}

void narrow(float const* source, DType dtype, std::size_t count, std::byte* destination) {
    kernels::visit_dtype(dtype, [&]<class T>(T) {
        std::transform(source, source + count, reinterpret_cast<T*>(destination),
                       [](float value) { return kernels::from_float<T>(value); });
    });
}

}  // namespace

struct MpiCommunicator::State {
    explicit State(std::size_t message_limit);
    ~State();
    State(State const&) = delete;
    State& operator=(State const&) = delete;
    /// Memory for `count` floats, reused from call to call.
    float* floats(std::size_t count) {
        if (staging.size() < count) staging.resize(count);
        return staging.data();
    }

    /// counts and begins become those of pieces of these sizes, one behind the other.
    void place_pieces(std::span<std::size_t const> bytes) {
        counts.assign(bytes.begin(), bytes.end());
        begins.resize(counts.size());
        std::exclusive_scan(counts.begin(), counts.end(), begins.begin(), 0);
    }

    MPI_Comm comm = MPI_COMM_NULL;
    int rank = 0;
    int size = 1;
    int ranks_on_node = 1;
    std::vector<int> nodes{0};  ///< by rank
    std::size_t limit;
    int exceptions = std::uncaught_exceptions();
    std::vector<float> staging;
    std::vector<int> counts, begins;
    std::vector<MPI_Request> requests;
    std::optional<CollectiveCheck> check;
    CollectiveRing ring;
};

MpiCommunicator::State::State(std::size_t message_limit) : limit{message_limit} {
    require(limit >= 1 && limit <= largest_message, "message limit is out of range");
    check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &comm), "MPI_Comm_dup");
    check_mpi(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check_mpi(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
    if (size == 1) return;
    MPI_Comm node = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node),
              "MPI_Comm_split_type");
    check_mpi(MPI_Comm_size(node, &ranks_on_node), "MPI_Comm_size");
    int lowest = rank;
    check_mpi(MPI_Bcast(&lowest, 1, MPI_INT, 0, node), "MPI_Bcast");
    nodes.resize(static_cast<std::size_t>(size));
    check_mpi(MPI_Allgather(&lowest, 1, MPI_INT, nodes.data(), 1, MPI_INT, comm), "MPI_Allgather");
    check_mpi(MPI_Comm_free(&node), "MPI_Comm_free");
}

MpiCommunicator::State::~State() {
    // MPI_Comm_free is collective: a rank that dies of an exception must not wait for the others.
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (finalized == 0 && std::uncaught_exceptions() == exceptions) MPI_Comm_free(&comm);
}

MpiCommunicator MpiCommunicator::world(std::size_t message_limit) {
    MpiCommunicator ranks(std::make_unique<State>(message_limit));
    if (std::getenv("TESSERANK_CHECK_COLLECTIVES") != nullptr) ranks.check_collectives();
    return ranks;
}

MpiCommunicator::MpiCommunicator(std::unique_ptr<State> state) : state_{std::move(state)} {}
MpiCommunicator::MpiCommunicator(MpiCommunicator&&) noexcept = default;
MpiCommunicator& MpiCommunicator::operator=(MpiCommunicator&&) noexcept = default;
MpiCommunicator::~MpiCommunicator() = default;

int MpiCommunicator::rank() const { return state_->rank; }
int MpiCommunicator::size() const { return state_->size; }
int MpiCommunicator::ranks_on_node() const { return state_->ranks_on_node; }
std::vector<int> const& MpiCommunicator::nodes() const { return state_->nodes; }
CollectiveRing* MpiCommunicator::ring() const { return &state_->ring; }

void MpiCommunicator::check_collectives() {
    if (state_->size == 1 || state_->check) return;
    auto& check = state_->check.emplace(state_->comm);
    state_->ring.set_check([&check](CollectiveRecord const& record) { check.compare(record); });
}

// The same bits on every rank are MPI_Allreduce's own promise: "MPI requires that all processes
// from the same group participating in these operations receive identical results" (MPI 3.1,
// section 5.9.6), whatever algorithm the library picks. The tests watch it.
void MpiCommunicator::do_all_reduce(std::span<std::byte> data, DType dtype) {
    check_elements(data, dtype);
    if (state_->size == 1) return;
    if (dtype != DType::f32) return all_reduce_staged(data, dtype);
    auto* const values = reinterpret_cast<float*>(data.data());
    for_each_chunk(data.size() / sizeof(float), state_->limit, [&](std::size_t first, int count) {
        check_mpi(
            MPI_Allreduce(MPI_IN_PLACE, values + first, count, MPI_FLOAT, MPI_SUM, state_->comm),
            "MPI_Allreduce");
    });
}

void MpiCommunicator::all_reduce_staged(std::span<std::byte> data, DType dtype) {
    std::size_t const width = kernels::size_of(dtype);
    std::size_t const elements = data.size() / width;
    float* const wide = state_->floats(std::min(elements, staged_elements));
    for_each_chunk(elements, staged_elements, [&](std::size_t first, int count) {
        auto const piece = data.subspan(first * width, static_cast<std::size_t>(count) * width);
        auto const floats = std::span(wide, static_cast<std::size_t>(count));
        widen(piece.data(), dtype, floats.size(), wide);
        all_reduce(std::as_writable_bytes(floats), DType::f32);
        narrow(wide, dtype, floats.size(), piece.data());
    });
}

void MpiCommunicator::do_reduce_scatter(std::span<std::byte> data, DType dtype,
                                        std::span<std::size_t const> counts,
                                        std::span<std::byte> mine) {
    std::size_t const width = kernels::size_of(dtype);
    std::size_t const total = sum(counts);
    check_elements(data, dtype);
    check_elements(mine, dtype);
    check_pieces(mine.size() / width, counts, data.size() / width, rank(), size());
    std::size_t const own = mine.size() / width;
    if (state_->size == 1) {
        std::copy(data.begin(), data.end(), mine.begin());
    } else if (dtype == DType::f32) {
        reduce_scatter_f32(reinterpret_cast<float const*>(data.data()), counts,
                           reinterpret_cast<float*>(mine.data()));
    } else {
        float* const wide = state_->floats(total + own);
        widen(data.data(), dtype, total, wide);
        reduce_scatter_f32(wide, counts, wide + total);
        narrow(wide + total, dtype, own, mine.data());
    }
}

void MpiCommunicator::reduce_scatter_f32(float const* data, std::span<std::size_t const> counts,
                                         float* mine) {
    State& s = *state_;
    std::size_t const total = sum(counts);
    if (total == 0) return;
    if (total <= s.limit) {
        s.counts.assign(counts.begin(), counts.end());
        check_mpi(MPI_Reduce_scatter(data, mine, s.counts.data(), MPI_FLOAT, MPI_SUM, s.comm),
                  "MPI_Reduce_scatter");
        return;
    }
    for (int root = 0; root < s.size; ++root) {
        std::size_t const length = counts[static_cast<std::size_t>(root)];
        for_each_chunk(length, s.limit, [&](std::size_t first, int count) {
            float* const target = root == s.rank ? mine + first : nullptr;
            check_mpi(MPI_Reduce(data + first, target, count, MPI_FLOAT, MPI_SUM, root, s.comm),
                      "MPI_Reduce");
        });
        data += length;
    }
}

void MpiCommunicator::do_all_gather(std::span<std::byte const> mine,
                                    std::span<std::size_t const> bytes, std::span<std::byte> all) {
    State& s = *state_;
    check_pieces(mine.size(), bytes, all.size(), s.rank, s.size);
    auto const slot = piece_of(all, bytes, s.rank);
    if (slot.data() != mine.data()) std::copy(mine.begin(), mine.end(), slot.begin());
    if (s.size == 1 || all.empty()) return;
    if (all.size() <= s.limit) {
        s.place_pieces(bytes);
        check_mpi(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all.data(), s.counts.data(),
                                 s.begins.data(), MPI_BYTE, s.comm),
                  "MPI_Allgatherv");
        return;
    }
    for (int root = 0; root < s.size; ++root) {
        std::size_t const length = bytes[static_cast<std::size_t>(root)];
        broadcast(all.first(length), root);
        all = all.subspan(length);
    }
}

void MpiCommunicator::do_reduce(std::span<std::byte> data, DType dtype, int root) {
    std::size_t const width = kernels::size_of(dtype), elements = data.size() / width;
    check_elements(data, dtype);
    check_root(root, state_->size);
    if (state_->size == 1) return;
    if (dtype == DType::f32)
        return reduce_f32(reinterpret_cast<float*>(data.data()), elements, root);
    float* const wide = state_->floats(std::min(elements, staged_elements));
    for_each_chunk(elements, staged_elements, [&](std::size_t first, int count) {
        auto const size = static_cast<std::size_t>(count);
        widen(data.data() + first * width, dtype, size, wide);
        reduce_f32(wide, size, root);
        if (state_->rank == root) narrow(wide, dtype, size, data.data() + first * width);
    });
}

void MpiCommunicator::reduce_f32(float* data, std::size_t elements, int root) {
    State& s = *state_;
    for_each_chunk(elements, s.limit, [&](std::size_t first, int count) {
        float* const values = data + first;
        bool const here = s.rank == root;
        check_mpi(MPI_Reduce(here ? MPI_IN_PLACE : values, here ? values : nullptr, count,
                             MPI_FLOAT, MPI_SUM, root, s.comm),
                  "MPI_Reduce");
    });
}

void MpiCommunicator::do_gather(std::span<std::byte const> mine, std::span<std::size_t const> bytes,
                                std::span<std::byte> all, int root) {
    State& s = *state_;
    auto const own = static_cast<std::size_t>(s.rank);
    bool const here = s.rank == root;
    std::size_t const total = sum(bytes);
    check_pieces_at_root(mine.size(), bytes, all.size(), root, s.rank, s.size);
    if (here) {
        auto const slot = piece_of(all, bytes, s.rank);
        if (slot.data() != mine.data()) std::copy(mine.begin(), mine.end(), slot.begin());
    }
    if (s.size == 1 || total == 0) return;
    if (total <= s.limit) {
        s.place_pieces(bytes);
        check_mpi(MPI_Gatherv(here ? MPI_IN_PLACE : static_cast<void const*>(mine.data()),
                              s.counts[own], MPI_BYTE, all.data(), s.counts.data(), s.begins.data(),
                              MPI_BYTE, root, s.comm),
                  "MPI_Gatherv");
        return;
    }
    for (int rank = 0; rank < s.size; ++rank) {
        std::size_t const length = bytes[static_cast<std::size_t>(rank)];
        // What is sent is only read: transfer() writes on the receiving side alone.
        auto* const sent = const_cast<std::byte*>(mine.data());
        if (here) transfer(all.first(length), rank, root);
        if (rank == s.rank && !here) transfer({sent, length}, rank, root);
        if (here) all = all.subspan(length);
    }
}

void MpiCommunicator::do_scatter(std::span<std::byte const> all, std::span<std::size_t const> bytes,
                                 std::span<std::byte> mine, int root) {
    State& s = *state_;
    auto const own = static_cast<std::size_t>(s.rank);
    bool const here = s.rank == root;
    std::size_t const total = sum(bytes);
    check_pieces_at_root(mine.size(), bytes, all.size(), root, s.rank, s.size);
    if (here) {
        auto const slot = piece_of(all, bytes, s.rank);
        if (slot.data() != mine.data()) std::copy(slot.begin(), slot.end(), mine.begin());
    }
    if (s.size == 1 || total == 0) return;
    if (total <= s.limit) {
        s.place_pieces(bytes);
        check_mpi(MPI_Scatterv(all.data(), s.counts.data(), s.begins.data(), MPI_BYTE,
                               here ? MPI_IN_PLACE : static_cast<void*>(mine.data()), s.counts[own],
                               MPI_BYTE, root, s.comm),
                  "MPI_Scatterv");
        return;
    }
    for (int rank = 0; rank < s.size; ++rank) {
        std::size_t const length = bytes[static_cast<std::size_t>(rank)];
        auto* const sent = const_cast<std::byte*>(all.data());
        if (here) transfer({sent, length}, root, rank);
        if (rank == s.rank && !here) transfer(mine, root, rank);
        if (here) all = all.subspan(length);
    }
}

void MpiCommunicator::do_transfer(std::span<std::byte> data, int from, int to) {
    State& s = *state_;
    require(from >= 0 && from < s.size && to >= 0 && to < s.size, "an end is no rank");
    if (from == to || (s.rank != from && s.rank != to)) return;
    for_each_chunk(data.size(), s.limit, [&](std::size_t first, int count) {
        std::byte* const piece = data.data() + first;
        if (s.rank == from) {
            check_mpi(MPI_Send(piece, count, MPI_BYTE, to, 0, s.comm), "MPI_Send");
        } else {
            check_mpi(MPI_Recv(piece, count, MPI_BYTE, from, 0, s.comm, MPI_STATUS_IGNORE),
                      "MPI_Recv");
        }
    });
}

void MpiCommunicator::do_broadcast(std::span<std::byte> data, int root) {
    State& s = *state_;
    check_root(root, s.size);
    if (s.size == 1) return;
    for_each_chunk(data.size(), s.limit, [&](std::size_t first, int count) {
        check_mpi(MPI_Bcast(data.data() + first, count, MPI_BYTE, root, s.comm), "MPI_Bcast");
    });
}

// Point-to-point at every size: a rank cannot know whether another's sizes fit into MPI_Alltoallv's
// int arguments, so ranks could not choose the same call without asking each other first.
void MpiCommunicator::do_all_to_all(std::span<std::byte const> send,
                                    std::span<std::size_t const> send_bytes,
                                    std::span<std::byte> received,
                                    std::span<std::size_t const> received_bytes) {
    State& s = *state_;
    auto const own = static_cast<std::size_t>(s.rank);
    check_all_to_all(send.size(), send_bytes, received.size(), received_bytes, s.rank, s.size);
    s.requests.clear();
    for (int peer = 0; peer < s.size; ++peer) {
        std::size_t const length = received_bytes[static_cast<std::size_t>(peer)];
        for_each_chunk(peer == s.rank ? 0 : length, s.limit, [&](std::size_t first, int count) {
            check_mpi(MPI_Irecv(received.data() + first, count, MPI_BYTE, peer, 0, s.comm,
                                &s.requests.emplace_back()),
                      "MPI_Irecv");
        });
        if (peer == s.rank)
            std::copy_n(send.data() + sum(send_bytes.first(own)), length, received.data());
        received = received.subspan(length);
    }
    for (int peer = 0; peer < s.size; ++peer) {
        std::size_t const length = send_bytes[static_cast<std::size_t>(peer)];
        for_each_chunk(peer == s.rank ? 0 : length, s.limit, [&](std::size_t first, int count) {
            check_mpi(MPI_Isend(send.data() + first, count, MPI_BYTE, peer, 0, s.comm,
                                &s.requests.emplace_back()),
                      "MPI_Isend");
        });
        send = send.subspan(length);
    }
    for (auto& request : s.requests) check_mpi(MPI_Wait(&request, MPI_STATUS_IGNORE), "MPI_Wait");
}

void MpiCommunicator::barrier() {
    CollectiveScope const scope(ring(), {.kind = CollectiveCall::Kind::barrier});
    check_mpi(MPI_Barrier(state_->comm), "MPI_Barrier");
}

long long MpiCommunicator::all_min(long long value) {
    if (state_->size == 1) return value;
    CollectiveScope const scope(ring(), {.kind = CollectiveCall::Kind::minimum});
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_LONG_LONG, MPI_MIN, state_->comm),
              "MPI_Allreduce");
    return value;
}

long long MpiCommunicator::all_sum(long long value) {
    if (state_->size == 1) return value;
    CollectiveScope const scope(ring(), {.kind = CollectiveCall::Kind::sum});
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_LONG_LONG, MPI_SUM, state_->comm),
              "MPI_Allreduce");
    return value;
}

std::string MpiCommunicator::broadcast_text(std::string text, int root) {
    std::uint64_t length = text.size();
    broadcast(std::as_writable_bytes(std::span(&length, 1)), root);
    text.resize(length);
    broadcast(std::as_writable_bytes(std::span(text)), root);
    return text;
}

}  // namespace tesserank::parallel
