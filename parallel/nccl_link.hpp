#pragma once

#include "parallel/mpi_communicator.hpp"
#include "parallel/nccl.hpp"
#include "parallel/nccl_library.hpp"
#include "parallel/notices.hpp"

#include <optional>
#include <string>
#include <thread>

namespace tesserank::parallel {

/// This rank's connection to the others through NCCL: how it starts, queues, fails and ends.
/// The host never blocks in NCCL, and gives up with all ranks when one of them failed or time is
/// up. Private to this folder.
class NcclLink {
  public:
    NcclLink(MpiCommunicator& world, NcclOptions const& options);
    /// Finishes what is queued; aborts it during unwinding. Recordings of its calls are gone by
    /// then.
    ~NcclLink();
    NcclLink(NcclLink const&) = delete;
    NcclLink& operator=(NcclLink const&) = delete;

    int rank() const { return rank_; }
    int size() const { return size_; }
    NcclLibrary const& library() const { return *library_; }
    ncclComm_t comm() const { return comm_; }

    /// Queues what `calls` asks of NCCL as one group. Returns when it is queued, not when it is
    /// done. `name` is for messages.
    template <class Calls>
    void queue(char const* name, Calls const& calls) {
        begin(name);
        calls();
        end();
    }
    /// To be given the result of every call of NCCL.
    void expect(ncclResult_t result, char const* function);
    /// See Communicator::check().
    void check(double seconds_waited);
    /// Waits until NCCL has taken in what it was told.
    void settle();

  private:
    void load(MpiCommunicator& world, NcclOptions const& options);
    void connect();
    void begin(char const* name);
    void end();
    ncclResult_t state() const;
    void heed_notices();
    std::string last_call() const;
    std::string text_of(ncclResult_t result) const;
    /// Tells the other ranks `mine`, hears what they tell in so many seconds, aborts what is queued
    /// and throws it all.
    [[noreturn]] void give_up(std::string const& mine, double patience_seconds);
    /// Waits for what is queued, here and on the other ranks. Whether that ended well.
    bool finish() noexcept;
    /// On a thread of its own: NCCL returns only when the recordings of its calls are gone, which
    /// happens when the error that follows unwinds what holds them.
    void abort() noexcept;

    int rank_, size_;
    double seconds_;
    int exceptions_;
    std::optional<NcclLibrary> library_;
    Notices notices_;
    ncclUniqueId id_{};
    ncclComm_t comm_ = nullptr;
    char const* name_ = "start";
    bool group_is_open_ = false;
    unsigned long long calls_ = 0;
    std::string ended_;      ///< with which message, when it was given up
    std::jthread aborting_;  ///< last, so that it is waited for while all else is there
};

}  // namespace tesserank::parallel
