#include "parallel/rank_report.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>
#include <type_traits>

namespace tesserank::parallel {
namespace {

using State = CollectiveRing::State;

static_assert(std::is_trivially_copyable_v<RankReport>);

/// Of a large job the message shows no more ranks than this; the file has them all.
constexpr std::size_t most_ranks_shown = 16;

std::string in_seconds(double seconds) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.1f s", seconds);
    return text.data();
}

std::string name_of(Stall const& stall, std::size_t rank) {
    return "rank " + std::to_string(rank) + " (" + std::string(stall.hosts[rank].view()) + ")";
}

std::string last_call(RankReport const& report) {
    auto const* const record = report.calls.find(report.calls.calls);
    return record == nullptr ? "none yet" : describe(*record);
}

std::string doing(RankReport const& report) {
    auto const still = in_seconds(report.seconds_still);
    switch (report.calls.state) {
        case State::inside:
            return "waits since " + still + " in " + last_call(report);
        case State::queued:
            return "waits since " + still +
                   " for its device; its last collective: " + last_call(report);
        case State::outside:
            break;
    }
    auto const phase = report.phase.view();
    return "is in no collective, without progress since " + still +
           (phase.empty() ? "" : " in phase " + std::string(phase)) +
           "; its last collective: " + last_call(report);
}

/// The two calls of the lowest number that do not fit each other; empty: all fit that are known.
std::string first_difference(Stall const& stall) {
    std::uint64_t most_calls = 0;
    for (auto const& report : stall.reports) {
        if (report) most_calls = std::max(most_calls, report->calls.calls);
    }
    auto const oldest = most_calls - std::min<std::uint64_t>(most_calls, CollectiveRing::capacity);
    for (auto number = oldest + 1; number <= most_calls; ++number) {
        CollectiveRecord const* first = nullptr;
        std::size_t first_rank = 0;
        for (std::size_t rank = 0; rank < stall.reports.size(); ++rank) {
            auto const& report = stall.reports[rank];
            auto const* const record = report ? report->calls.find(number) : nullptr;
            if (record == nullptr) continue;
            if (first != nullptr && !record->call.fits(first->call)) {
                return "the order of calls differs: " + name_of(stall, first_rank) + " " +
                       describe(*first) + ", " + name_of(stall, rank) + " " + describe(*record);
            }
            if (first == nullptr || !first->call.bytes_alike) {
                first = record;
                first_rank = rank;
            }
        }
    }
    return {};
}

std::vector<std::string> causes_of(Stall const& stall) {
    std::vector<std::string> causes;
    for (std::size_t rank = 0; rank < stall.reports.size(); ++rank) {
        auto const& report = stall.reports[rank];
        if (!report) {
            causes.push_back(name_of(stall, rank) +
                             " does not answer: it is stopped, or its node cannot be reached");
        } else if (report->calls.state == State::outside) {
            causes.push_back(name_of(stall, rank) + " is late: it " + doing(*report));
        }
    }
    if (auto difference = first_difference(stall); !difference.empty()) {
        causes.push_back(std::move(difference));
    }
    if (causes.empty()) {
        causes.emplace_back("all ranks wait for each other: MPI, NCCL or the network stands still");
    }
    return causes;
}

}  // namespace

std::string describe(Stall const& stall) {
    std::string text = "no progress on any rank for " + in_seconds(stall.limit_seconds);
    char const* separator = ": ";
    for (auto const& cause : causes_of(stall)) {
        text += separator + cause;
        separator = "; ";
    }
    for (std::size_t rank = 0; rank < stall.reports.size(); ++rank) {
        if (rank == most_ranks_shown) {
            text += "\n  ... and " + std::to_string(stall.reports.size() - rank) + " more ranks";
            break;
        }
        auto const& report = stall.reports[rank];
        text += "\n  " + name_of(stall, rank) + " " + (report ? doing(*report) : "does not answer");
    }
    return text;
}

std::string rings_text(Stall const& stall) {
    std::string text =
        "The last collectives of each rank, oldest first. Seconds are counted from "
        "the start of the rank's communicator.\n";
    for (std::size_t rank = 0; rank < stall.reports.size(); ++rank) {
        auto const& report = stall.reports[rank];
        text += "\n" + name_of(stall, rank) + " " + (report ? doing(*report) : "does not answer") +
                "\n";
        if (!report) continue;
        auto const& calls = report->calls;
        auto const kept = std::min<std::uint64_t>(calls.calls, CollectiveRing::capacity);
        for (auto number = calls.calls - kept + 1; number <= calls.calls; ++number) {
            auto const* const record = calls.find(number);
            if (record == nullptr) continue;
            text += "  " + in_seconds(record->seconds) + "  " + describe(*record) + "\n";
        }
    }
    return text;
}

}  // namespace tesserank::parallel
