#pragma once

#include "parallel/agreed.hpp"
#include "parallel/mpi_communicator.hpp"

#include <functional>

namespace tesserank::parallel {

/// Runs `work`, which must contain no collective call, then lets all ranks learn whether any of
/// them failed. Collective. When one failed, every rank throws what the lowest failing rank threw:
/// the same kind of error (InputError, SystemError, LogicError; anything else becomes SystemError)
/// and the same message, marked as Agreed. The message is prefixed with the rank, its host and
/// what it was doing (see rank_and_place()) unless the job has one rank or all ranks failed with
/// the same words.
void agree(MpiCommunicator& ranks, std::function<void()> const& work);

/// The same for work of minutes, so that all hear of a failure at once: `work` asks `goes_on` now
/// and then, and returns early when the answer is no, because another rank has failed. Such work is
/// rare in a job: each call keeps a duplicate of the world until MPI ends.
void agree_early(MpiCommunicator& ranks,
                 std::function<void(std::function<bool()> const& goes_on)> const& work);

}  // namespace tesserank::parallel
