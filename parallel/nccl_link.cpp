#include "parallel/nccl_link.hpp"

#include "kernels/error.hpp"
#include "parallel/agree.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
#include <span>
#include <thread>
#include <utility>

namespace tesserank::parallel {
namespace {

/// How long a rank listens to what the others say before it gives up: those that wait too answer
/// at once, and one that does not is what the message is about.
constexpr double answer_seconds = 2.0;

/// The text of a rank that has started.
constexpr char const* ready = "ready";

class Stopwatch {
  public:
    double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }
    /// Gives the core away: shortly at first, since what is waited for mostly takes microseconds.
    void pause() const {
        if (seconds() < 1e-3) return std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }

  private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::string rounded(double seconds) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.3g s", seconds);
    return text.data();
}

}  // namespace

NcclLink::NcclLink(MpiCommunicator& world, NcclOptions const& options)
    : rank_{world.rank()},
      size_{world.size()},
      seconds_{options.seconds},
      exceptions_{std::uncaught_exceptions()},
      notices_{world} {
    load(world, options);
    connect();
}

void NcclLink::load(MpiCommunicator& world, NcclOptions const& options) {
    agree(world, [&] {
        library_.emplace(options.library);
        if (rank_ > 0) return;
        auto const result = library_->get_unique_id(&id_);
        if (result == ncclSuccess) return;
        throw kernels::SystemError("ncclGetUniqueId failed: " + text_of(result));
    });
    world.broadcast(std::as_writable_bytes(std::span(&id_, 1)), 0);
}

void NcclLink::connect() {
    Stopwatch const watch;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    expect(library_->init(&comm_, size_, id_, rank_, &config), "ncclCommInitRankConfig");
    settle();
    notices_.post(ready);
    for (auto const& notice : notices_.collect(seconds_ - watch.seconds() + answer_seconds)) {
        if (notice && *notice != ready) give_up(ready, 0.0);
    }
    int others = 0;
    for (auto const& notice : notices_.poll()) others += notice ? 1 : 0;
    if (others < size_ - 1) give_up("the others are not ready after " + rounded(seconds_), 1e-3);
    notices_.clear();
}

NcclLink::~NcclLink() {
    if (comm_ == nullptr) return;
    if (std::uncaught_exceptions() > exceptions_ || !finish()) {
        abort();
    } else {
        library_->destroy(comm_);
    }
}

bool NcclLink::finish() noexcept {
    Stopwatch const watch;
    auto result = library_->finalize(comm_);
    while (result == ncclInProgress && watch.seconds() < seconds_) {
        result = state();
        watch.pause();
    }
    return result == ncclSuccess;
}

void NcclLink::begin(char const* name) {
    if (comm_ == nullptr) throw kernels::SystemError(ended_);
    name_ = name;
    ++calls_;
    expect(library_->group_start(), "ncclGroupStart");
    group_is_open_ = true;
}

void NcclLink::end() {
    group_is_open_ = false;
    expect(library_->group_end(), "ncclGroupEnd");
    settle();
}

void NcclLink::expect(ncclResult_t result, char const* function) {
    if (result == ncclSuccess || result == ncclInProgress) return;
    give_up("failed: " + std::string(function) + ": " + text_of(result), 0.0);
}

void NcclLink::settle() {
    Stopwatch const watch;
    auto result = state();
    while (result == ncclInProgress) {
        heed_notices();
        if (watch.seconds() > seconds_)
            give_up("not connected after " + rounded(seconds_), answer_seconds);
        watch.pause();
        result = state();
    }
    if (result != ncclSuccess) give_up("failed: " + text_of(result), 0.0);
}

void NcclLink::check(double seconds_waited) {
    if (comm_ == nullptr) throw kernels::SystemError(ended_);
    auto const result = state();
    if (result != ncclSuccess && result != ncclInProgress)
        give_up("failed: " + text_of(result), 0.0);
    heed_notices();
    if (seconds_waited > seconds_) give_up("no end after " + rounded(seconds_), answer_seconds);
}

ncclResult_t NcclLink::state() const {
    ncclResult_t result = ncclSuccess;
    auto const asked = library_->async_error(comm_, &result);
    return asked == ncclSuccess ? result : asked;
}

void NcclLink::heed_notices() {
    for (auto const& notice : notices_.poll()) {
        if (!notice || *notice == ready) continue;
        give_up("waits", notice->starts_with("failed") ? 0.0 : answer_seconds);
    }
}

std::string NcclLink::last_call() const {
    return std::string(name_) + (calls_ == 0 ? "" : " (call " + std::to_string(calls_) + ")");
}

std::string NcclLink::text_of(ncclResult_t result) const {
    std::string text = library_->error_string(result);
    std::string const detail = library_->last_error == nullptr ? "" : library_->last_error(comm_);
    return detail.empty() ? text : text + " (" + detail + ")";
}

void NcclLink::give_up(std::string const& mine, double patience_seconds) {
    // Groups belong to the thread: one that stays open would swallow its next calls.
    if (std::exchange(group_is_open_, false)) library_->group_end();
    notices_.post(mine + " in " + last_call());
    auto const& heard = notices_.collect(patience_seconds);
    ended_ = "rank " + std::to_string(rank_) + ": NCCL " + last_call() + ": " + mine;
    for (std::size_t peer = 0; peer < heard.size(); ++peer) {
        if (static_cast<int>(peer) == rank_) continue;
        if (!heard[peer] && patience_seconds == 0.0) continue;
        ended_ += "; rank " + std::to_string(peer) + ": " + heard[peer].value_or("does not answer");
    }
    abort();
    throw kernels::SystemError(ended_);
}

void NcclLink::abort() noexcept {
    auto* const comm = std::exchange(comm_, nullptr);
    if (comm != nullptr) aborting_ = std::jthread([this, comm] { library_->abort(comm); });
}

}  // namespace tesserank::parallel
