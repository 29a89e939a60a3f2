#pragma once

#include "model/logits.hpp"
#include "model/request.hpp"
#include "model/text_stream.hpp"
#include "model/transformer.hpp"
#include "model/vision/picture_tiles.hpp"
#include "parallel/mpi_communicator.hpp"

#include <functional>
#include <span>
#include <vector>

namespace tesserank::model {

/// What generate() and score() use besides the model, on rank 0 unless said otherwise; null where
/// not wanted.
struct BatchTools {
    std::span<std::int32_t const> eos_ids;
    TextStreamFactory const* text = nullptr;  ///< needed for requests with stop strings
    LogitsSink* logits = nullptr;
    FeatureSink* features = nullptr;  ///< of every picture
    /// Called by generate() on every rank that has one, when each sequence has its first token: for
    /// measurements.
    std::function<void()> prefilled = nullptr;
    /// Where decoding is resident: is appended, for each step, what the host did for it besides
    /// waiting, in seconds.
    std::vector<double>* host_seconds = nullptr;
};

/// Runs one static batch to its end: its pictures are encoded, then prefill, then a token for each
/// running sequence per step; ended sequences leave. Rank 0 has the requests, chooses the tokens,
/// tells the others, and gets the results, in the order of the requests. The other ranks pass no
/// requests and get none. Collective. Errors: SystemError on every rank where one has no memory for
/// the KV cache; any other failure is not agreed upon: the caller must end the job. With a sink:
/// one row of logits for each new token, the one that it was chosen from.
std::vector<GenerateResult> generate(Transformer& model, parallel::MpiCommunicator& ranks,
                                     std::span<GenerateRequest const> requests,
                                     BatchTools const& tools);

/// The likelihood of given completions, in one pass over prompt and completion. Otherwise like
/// generate(). With a sink: one row of logits for each token of prompt and completion, the
/// prediction of the one behind it.
std::vector<ScoreResult> score(Transformer& model, parallel::MpiCommunicator& ranks,
                               std::span<ScoreRequest const> requests, BatchTools const& tools);

}  // namespace tesserank::model
