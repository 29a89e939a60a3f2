#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string_view>

namespace tesserank::model {

/// The most that is chosen without being asked for: beyond it a host gains little throughput, and
/// one slow sequence keeps many slots waiting.
inline constexpr std::size_t largest_automatic_batch = 32;

/// The longest sequence for which that many have to fit: room for a long answer without letting one
/// huge context decide that only one sequence fits.
inline constexpr std::size_t longest_automatic_length = 4096;

/// How many sequences run together, and how long one may become.
struct BatchLimits {
    std::size_t batch = 1;
    std::size_t max_length = 0;  ///< prompt and new tokens
};

/// What the choice depends on: the same on all ranks.
struct BatchLimitInput {
    std::size_t context = 0;  ///< of the model
    /// The most tokens that each of so many sequences may have, as every rank has memory for their
    /// keys and values and pictures; the more sequences, the fewer.
    std::function<std::size_t(std::size_t batch)> length_for;
    std::optional<std::size_t> batch;  ///< as the user wishes
    std::optional<std::size_t> max_length;
    int owners = 1;  ///< ranks over which the sequences are dealt out
    /// What `length_for` counts, for messages.
    std::string_view counted = "keys and values";
};

/// Refuses what is wrong whatever the memory is; `length_for` is not asked. Errors:
/// InputError.
void check_batch_wishes(BatchLimitInput const& input);

/// Fills in what the user left open, so that a batch of the longest sequences always fits the
/// memory. Errors: InputError like check_batch_wishes(), and when the memory does not hold one
/// sequence, or not the batch and length that were asked for.
BatchLimits choose_batch_limits(BatchLimitInput const& input);

}  // namespace tesserank::model
