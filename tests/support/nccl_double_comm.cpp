#include "tests/support/nccl_double_comm.hpp"

#include "kernels/dtype.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

namespace tesserank::test {
namespace {

/// A test that gets no further ends here, with a message.
constexpr double patience_seconds = 40.0;

std::size_t width_of(std::int32_t type) {
    return type == ncclUint8 ? 1 : type == ncclFloat32 ? 4 : 2;
}

template <class T>
void add(std::byte const* term, std::byte* sum, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        T a, b;
        std::memcpy(&a, sum + i * sizeof(T), sizeof(T));
        std::memcpy(&b, term + i * sizeof(T), sizeof(T));
        a = kernels::from_float<T>(kernels::to_float(a) + kernels::to_float(b));
        std::memcpy(sum + i * sizeof(T), &a, sizeof(T));
    }
}

}  // namespace

std::string to_string(CallHead const& head) {
    constexpr std::array names{"hello",  "all_reduce", "reduce_scatter", "all_gather",
                               "reduce", "broadcast",  "send",           "receive"};
    return std::string(names[static_cast<std::size_t>(head.kind)]) + " " +
           std::to_string(head.number) + " of " + std::to_string(head.count) +
           " elements of type " + std::to_string(head.type) + ", root " + std::to_string(head.root);
}

std::size_t bytes_of(CallHead const& head) { return head.count * width_of(head.type); }

}  // namespace tesserank::test

using tesserank::test::CallHead;
using tesserank::test::DoubleCall;
using Kind = tesserank::test::CallHead::Kind;

extern "C" tesserank::test::NcclDouble* tesserank_nccl_double();

ncclComm::ncclComm(int my_rank, int ranks, int id)
    : rank{my_rank}, size{ranks}, tag_{1000 + 2 * id}, greeted_(static_cast<std::size_t>(ranks)) {
    greeted_[static_cast<std::size_t>(rank)] = true;
}

void ncclComm::start() {
    for (int peer = 0; peer < size; ++peer) {
        if (peer != rank) send(peer, tag_, CallHead{}, {});
    }
}

ncclResult_t ncclComm::state() {
    if (error != ncclSuccess) return error;
    for (int peer = 0; peer < size; ++peer) {
        int arrived = 0;
        if (greeted_[static_cast<std::size_t>(peer)]) continue;
        PMPI_Iprobe(peer, tag_, MPI_COMM_WORLD, &arrived, MPI_STATUS_IGNORE);
        if (arrived == 0) return ncclInProgress;
        receive(peer, tag_);
        greeted_[static_cast<std::size_t>(peer)] = true;
    }
    if (tesserank_nccl_double()->never_connects) return ncclInProgress;
    if (polls_in_progress == 0) return ncclSuccess;
    --polls_in_progress;
    return ncclInProgress;
}

void ncclComm::fail(ncclResult_t result, std::string const& text) {
    error = result;
    error_text = text;
    if (result == ncclInvalidUsage) tesserank_nccl_double()->misuse.push_back(text);
}

void ncclComm::stay_while_recorded(cudaStream_t stream) {
    auto status = cudaStreamCaptureStatusNone;
    cudaGraph_t graph = nullptr;
    cudaStreamGetCaptureInfo(stream, &status, nullptr, &graph);
    auto const leave = [](void* comm) { --static_cast<ncclComm*>(comm)->recordings; };
    cudaUserObject_t object = nullptr;
    cudaUserObjectCreate(&object, this, leave, 1, cudaUserObjectNoDestructorSync);
    cudaGraphRetainUserObject(graph, object, 1, cudaGraphUserObjectMove);
    ++recordings;
}

void ncclComm::execute(std::vector<DoubleCall> const& calls) {
    auto const is_message = [](DoubleCall const& call) { return call.head.kind >= Kind::send; };
    auto& control = *tesserank_nccl_double();
    std::vector<DoubleCall> messages;
    for (auto const& call : calls) {
        if (aborted || error != ncclSuccess) return;
        if (control.calls_until_error == 0) {
            return fail(ncclRemoteError, "the double was told to fail");
        }
        control.calls_until_error -= control.calls_until_error > 0 ? 1 : 0;
        is_message(call) ? messages.push_back(call) : execute_collective(call);
    }
    execute_messages(messages);
}

void ncclComm::send(int peer, int tag, CallHead const& head, std::span<std::byte const> data) {
    auto& parcel = *sent_.emplace_back(std::make_unique<Parcel>());
    parcel.head = head;
    parcel.data.assign(data.begin(), data.end());
    PMPI_Isend(&parcel.head, sizeof(CallHead), MPI_BYTE, peer, tag, MPI_COMM_WORLD,
               &parcel.requests[0]);
    PMPI_Isend(parcel.data.data(), static_cast<int>(data.size()), MPI_BYTE, peer, tag,
               MPI_COMM_WORLD, &parcel.requests[1]);
    std::erase_if(sent_, [](auto const& old) {
        int done = 0;
        PMPI_Testall(2, old->requests, &done, MPI_STATUSES_IGNORE);
        return done != 0;
    });
}

std::unique_ptr<ncclComm::Parcel> ncclComm::receive(int peer, int tag) {
    auto parcel = std::make_unique<Parcel>();
    MPI_Status status{};
    int arrived = 0, length = 0;
    PMPI_Irecv(&parcel->head, sizeof(CallHead), MPI_BYTE, peer, tag, MPI_COMM_WORLD,
               &parcel->requests[0]);
    if (!wait(&parcel->requests[0])) return nullptr;
    // The sender has started both.
    while (arrived == 0) PMPI_Iprobe(peer, tag, MPI_COMM_WORLD, &arrived, &status);
    PMPI_Get_count(&status, MPI_BYTE, &length);
    parcel->data.resize(static_cast<std::size_t>(length));
    PMPI_Recv(parcel->data.data(), length, MPI_BYTE, peer, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return parcel;
}

bool ncclComm::wait(MPI_Request* request) {
    auto const start = std::chrono::steady_clock::now();
    auto const& hook = tesserank_nccl_double()->while_waiting;
    int done = 0;
    while (PMPI_Test(request, &done, MPI_STATUS_IGNORE), done == 0) {
        std::chrono::duration<double> const waited = std::chrono::steady_clock::now() - start;
        if (hook) hook(waited.count());
        std::this_thread::yield();
        if (aborted) {
            PMPI_Cancel(request);
            PMPI_Wait(request, MPI_STATUS_IGNORE);
            return false;
        }
        if (waited.count() < tesserank::test::patience_seconds) continue;
        std::fprintf(stderr, "the NCCL double of rank %d waits in vain in %s\n", rank,
                     to_string(executing).c_str());
        PMPI_Abort(MPI_COMM_WORLD, 1);
    }
    return true;
}

// Every rank sends what it has to every other one: nothing is fast here.
void ncclComm::execute_collective(DoubleCall const& call) {
    auto head = call.head;
    head.number = ++collectives_;
    executing = head;
    std::size_t const bytes = tesserank::test::bytes_of(head);
    auto const ranks = static_cast<std::size_t>(size), own = static_cast<std::size_t>(rank);
    bool const scattered = head.kind == Kind::reduce_scatter;
    std::span const mine(call.send, scattered ? bytes * ranks : bytes);
    std::vector<Bytes> pieces(ranks);
    for (int peer = 0; peer < size; ++peer) {
        if (peer != rank) send(peer, tag_, head, mine);
    }
    pieces[own].assign(mine.begin(), mine.end());
    for (int peer = 0; peer < size; ++peer) {
        if (peer == rank) continue;
        auto const parcel = receive(peer, tag_);
        if (parcel == nullptr) return;
        if (parcel->head != head) {
            return fail(ncclInvalidUsage, "rank " + std::to_string(rank) + " calls " +
                                              to_string(head) + ", rank " + std::to_string(peer) +
                                              " calls " + to_string(parcel->head));
        }
        pieces[static_cast<std::size_t>(peer)] = parcel->data;
    }
    auto const root = static_cast<std::size_t>(head.root);
    switch (head.kind) {
        case Kind::all_gather:
            for (std::size_t r = 0; r < ranks; ++r) {
                std::ranges::copy(pieces[r], call.received + r * bytes);
            }
            break;
        case Kind::broadcast:
            std::ranges::copy(pieces[root], call.received);
            break;
        case Kind::reduce:
            if (own == root) add_up(pieces, head, 0, head.count, call.received);
            break;
        default:
            add_up(pieces, head, scattered ? own * head.count : 0, head.count, call.received);
    }
    bool const whole = scattered || head.kind == Kind::all_gather;
    auto const name = to_string(head);
    tesserank_nccl_double()->executed.push_back(
        {name.substr(0, name.find(' ')), whole ? bytes * ranks : bytes});
}

// As NCCL's ring does it, bf16 and f16 are rounded after each term.
void ncclComm::add_up(std::vector<Bytes> const& terms, CallHead const& head, std::size_t first,
                      std::size_t count, std::byte* sum) const {
    using namespace tesserank;
    auto const begin = static_cast<std::ptrdiff_t>(first * test::width_of(head.type));
    Bytes total(terms[0].begin() + begin, terms[0].end());
    for (std::size_t r = 1; r < terms.size(); ++r) {
        auto const* const term = terms[r].data() + begin;
        if (head.type == ncclFloat32) test::add<float>(term, total.data(), count);
        if (head.type == ncclBfloat16) test::add<kernels::BFloat16>(term, total.data(), count);
        if (head.type == ncclFloat16) test::add<kernels::Float16>(term, total.data(), count);
    }
    std::copy_n(total.begin(), count * test::width_of(head.type), sum);
}

void ncclComm::execute_messages(std::span<DoubleCall const> calls) {
    std::deque<Bytes> to_myself;
    for (auto const& [head, data, unused] : calls) {
        if (head.kind != Kind::send) continue;
        std::span const bytes(data, tesserank::test::bytes_of(head));
        if (head.root == rank) {
            to_myself.emplace_back(bytes.begin(), bytes.end());
        } else {
            send(head.root, tag_ + 1, head, bytes);
        }
        tesserank_nccl_double()->executed.push_back({"send", bytes.size()});
    }
    for (auto const& [head, unused, destination] : calls) {
        if (head.kind != Kind::receive) continue;
        executing = head;
        auto parcel = std::make_unique<Parcel>();
        if (head.root != rank) {
            parcel = receive(head.root, tag_ + 1);
        } else if (!to_myself.empty()) {
            parcel->data = std::move(to_myself.front());
            to_myself.pop_front();
        }
        if (parcel == nullptr) return;
        if (parcel->data.size() != tesserank::test::bytes_of(head)) {
            return fail(ncclInvalidUsage, "rank " + std::to_string(rank) + " receives " +
                                              std::to_string(bytes_of(head)) + " bytes, rank " +
                                              std::to_string(head.root) + " sent " +
                                              std::to_string(parcel->data.size()));
        }
        std::ranges::copy(parcel->data, destination);
        tesserank_nccl_double()->executed.push_back({"receive", parcel->data.size()});
    }
    if (!to_myself.empty()) fail(ncclInvalidUsage, "what a rank sent itself was not received");
}
