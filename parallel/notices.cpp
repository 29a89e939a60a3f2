#include "parallel/notices.hpp"

#include "parallel/collective_scope.hpp"
#include "parallel/communicator.hpp"
#include "parallel/mpi_check.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <thread>

namespace tesserank::parallel {

Notices::Notices(Communicator const& world) {
    int size = 1;
    CollectiveScope const scope(world.ring(), {.kind = CollectiveCall::Kind::barrier});
    check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &comm_), "MPI_Comm_dup");
    check_mpi(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check_mpi(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(comm_, &size), "MPI_Comm_size");
    received_.resize(static_cast<std::size_t>(size));
}

// The duplicate is not freed: that is collective, and this object may die on a rank because the
// others have failed. A job makes one or two.
Notices::~Notices() {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (finalized != 0) return;
    // Short messages are on their way as soon as they are started; a rank that has died takes none.
    // MPI may still read those, so that they stay until it has ended.
    constexpr int most_looks = 100;
    static std::list<Sent> unfinished;
    while (!sent_.empty()) {
        auto& requests = sent_.front().requests;
        int done = 0;
        for (int look = 0; done == 0 && look < most_looks; ++look) {
            MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done,
                        MPI_STATUSES_IGNORE);
        }
        if (done == 0) {
            unfinished.splice(unfinished.end(), sent_, sent_.begin());
        } else {
            sent_.pop_front();
        }
    }
}

void Notices::post(std::string const& text) {
    auto& sent = sent_.emplace_back(text, std::vector<MPI_Request>{});
    auto const length = static_cast<int>(sent.text.size());
    for (int peer = 0; peer < static_cast<int>(received_.size()); ++peer) {
        if (peer == rank_) continue;
        check_mpi(MPI_Isend(sent.text.data(), length, MPI_CHAR, peer, 0, comm_,
                            &sent.requests.emplace_back(MPI_REQUEST_NULL)),
                  "MPI_Isend");
    }
}

std::vector<std::optional<std::string>> const& Notices::poll() {
    for (std::size_t peer = 0; peer < received_.size(); ++peer) {
        if (received_[peer] || static_cast<int>(peer) == rank_) continue;
        int arrived = 0, length = 0;
        MPI_Message message = MPI_MESSAGE_NULL;
        MPI_Status status{};
        check_mpi(MPI_Improbe(static_cast<int>(peer), 0, comm_, &arrived, &message, &status),
                  "MPI_Improbe");
        if (arrived == 0) continue;
        check_mpi(MPI_Get_count(&status, MPI_CHAR, &length), "MPI_Get_count");
        std::string text(static_cast<std::size_t>(length), '\0');
        check_mpi(MPI_Mrecv(text.data(), length, MPI_CHAR, &message, MPI_STATUS_IGNORE),
                  "MPI_Mrecv");
        received_[peer] = std::move(text);
    }
    return received_;
}

std::vector<std::optional<std::string>> const& Notices::collect(double seconds) {
    auto const end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    auto const missing = [this] {
        auto const is_missing = [](auto const& notice) { return !notice; };
        return std::ranges::count_if(received_, is_missing) > 1;  // this rank's own place
    };
    while (poll(), missing() && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return received_;
}

void Notices::clear() { std::ranges::fill(received_, std::nullopt); }

}  // namespace tesserank::parallel
