#include "parallel/collective_check.hpp"

#include "kernels/error.hpp"
#include "parallel/agreed.hpp"
#include "parallel/mpi_check.hpp"

#include <algorithm>
#include <exception>
#include <type_traits>

namespace tesserank::parallel {

// Records travel as bytes.
static_assert(std::is_trivially_copyable_v<CollectiveRecord>);

CollectiveCheck::CollectiveCheck(MPI_Comm ranks) : exceptions_{std::uncaught_exceptions()} {
    int size = 1;
    check_mpi(MPI_Comm_dup(ranks, &comm_), "MPI_Comm_dup");
    check_mpi(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check_mpi(MPI_Comm_size(comm_, &size), "MPI_Comm_size");
    all_.resize(static_cast<std::size_t>(size));
}

CollectiveCheck::~CollectiveCheck() {
    // Collective: a rank that dies of an exception must not wait for the others.
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (finalized == 0 && std::uncaught_exceptions() == exceptions_) MPI_Comm_free(&comm_);
}

void CollectiveCheck::compare(CollectiveRecord const& mine) {
    constexpr int bytes = sizeof(CollectiveRecord);
    check_mpi(MPI_Allgather(&mine, bytes, MPI_BYTE, all_.data(), bytes, MPI_BYTE, comm_),
              "MPI_Allgather");
    auto const mismatch = mismatch_of(all_);
    if (!mismatch.empty()) throw AgreedError<kernels::LogicError>(mismatch);
}

std::string mismatch_of(std::vector<CollectiveRecord> const& calls) {
    // Of a transfer only its two ends know the size.
    auto const knows_bytes = [](CollectiveRecord const& record) { return record.call.bytes_alike; };
    auto const knowing = std::ranges::find_if(calls, knows_bytes);
    auto const& model = knowing == calls.end() ? calls.front() : *knowing;
    auto const other = std::ranges::find_if(
        calls, [&](CollectiveRecord const& record) { return !record.call.fits(model.call); });
    if (other == calls.end()) return {};
    auto const told = [&](CollectiveRecord const& record) {
        return "rank " + std::to_string(&record - calls.data()) + ": " + describe(record);
    };
    return "the ranks do not call the same collective: " + told(model) + "; " + told(*other);
}

}  // namespace tesserank::parallel
