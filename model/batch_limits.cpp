#include "model/batch_limits.hpp"

#include "kernels/error.hpp"

#include <algorithm>
#include <string>

namespace tesserank::model {
namespace {

using std::to_string;

/// The most sequences of this length that fit.
std::size_t largest_batch(BatchLimitInput const& input, std::size_t length) {
    // Enough for every rank to own one.
    std::size_t batch = std::max(largest_automatic_batch, static_cast<std::size_t>(input.owners));
    while (batch > 1 && input.length_for(batch) < length) --batch;
    return batch;
}

}  // namespace

void check_batch_wishes(BatchLimitInput const& input) {
    if (input.batch && *input.batch == 0) throw kernels::InputError("--batch 0 runs no sequence");
    if (input.max_length && *input.max_length < 2) {
        throw kernels::InputError("--max-length " + to_string(*input.max_length) +
                                  " has no room for a prompt and a new token; give at least 2");
    }
    if (input.max_length && *input.max_length > input.context) {
        throw kernels::InputError("--max-length " + to_string(*input.max_length) +
                                  " exceeds the model's context of " + to_string(input.context) +
                                  " tokens");
    }
}

BatchLimits choose_batch_limits(BatchLimitInput const& input) {
    check_batch_wishes(input);
    std::size_t const length =
        input.max_length.value_or(std::min(input.context, longest_automatic_length));
    BatchLimits limits;
    limits.batch = input.batch.value_or(largest_batch(input, length));
    std::size_t const room = input.length_for(limits.batch);
    limits.max_length = input.max_length.value_or(std::min(input.context, room));
    if (limits.max_length > room || limits.max_length < 2) {
        throw kernels::InputError(
            "the memory has room for the " + std::string(input.counted) + " of " +
            to_string(limits.batch) + " sequence(s) of " + to_string(room) +
            " tokens, too few for " + to_string(std::max<std::size_t>(limits.max_length, 2)) +
            " tokens each; give a smaller --batch or --max-length, or more ranks");
    }
    return limits;
}

}  // namespace tesserank::model
