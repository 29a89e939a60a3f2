#include "parallel/agree.hpp"

#include "kernels/error.hpp"
#include "parallel/notices.hpp"
#include "parallel/whereabouts.hpp"

#include <algorithm>
#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace tesserank::parallel {
namespace {

using kernels::InputError;
using kernels::LogicError;
using kernels::SystemError;

/// What travels to the other ranks: the kind of the error in one letter, then its message.
using Failure = std::string;
constexpr char input_error = 'I';
constexpr char system_error = 'S';
constexpr char logic_error = 'L';

Failure failure(char kind, std::string const& message) {
    return kind + (message.empty() ? std::string("unknown error") : message);
}

std::optional<Failure> failure_of(std::function<void()> const& work) {
    try {
        work();
        return std::nullopt;
    } catch (InputError const& error) {
        return failure(input_error, error.what());
    } catch (LogicError const& error) {
        return failure(logic_error, error.what());
    } catch (std::exception const& error) {
        return failure(system_error, text_of(error));
    } catch (...) {
        return failure(system_error, "an exception without a message");
    }
}

[[noreturn]] void throw_failure(char kind, std::string const& message) {
    if (kind == input_error) throw AgreedError<InputError>(message);
    if (kind == logic_error) throw AgreedError<LogicError>(message);
    throw AgreedError<SystemError>(message);
}

}  // namespace

void agree(MpiCommunicator& ranks, std::function<void()> const& work) {
    auto const mine = failure_of(work);
    auto const first = static_cast<int>(ranks.all_min(mine ? ranks.rank() : ranks.size()));
    if (first == ranks.size()) return;

    Failure const shared = ranks.broadcast_text(mine.value_or(""), first);
    bool const everyones = ranks.all_min(mine == shared ? 1 : 0) == 1;
    if (everyones) throw_failure(shared.front(), shared.substr(1));
    auto const place = ranks.broadcast_text(rank_and_place(first), first);
    throw_failure(shared.front(), place + ": " + shared.substr(1));
}

void agree_early(MpiCommunicator& ranks,
                 std::function<void(std::function<bool()> const& goes_on)> const& work) {
    Notices failures(ranks);
    auto const goes_on = [&] {
        return std::ranges::none_of(failures.poll(),
                                    [](auto const& notice) { return notice.has_value(); });
    };
    agree(ranks, [&] {
        try {
            work(goes_on);
        } catch (...) {
            failures.post("");
            throw;
        }
    });
}

}  // namespace tesserank::parallel
