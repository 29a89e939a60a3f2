#pragma once

#include "model/static_batch.hpp"
#include "model/transformer.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace tesserank::model {

/// Takes logits as they arise, on rank 0; io writes them to a file.
class LogitsSink {
  public:
    virtual ~LogitsSink() = default;
    /// The next row [V] of a request, in the order of its tokens; host memory.
    virtual void append(std::string const& request_id, std::span<float const> logits) = 0;
};

/// One logit of a row [1, V] in the backend's memory.
float logit_at(kernels::Backend& backend, kernels::ConstTensorView row, std::int32_t token);

/// Copies one row [1, V] from the backend's memory to the sink.
void append_row(LogitsSink& sink, std::string const& request_id, kernels::Backend& backend,
                kernels::ConstTensorView row);

/// A block of at most max_logit_rows rows of logits: what this rank computed of them.
struct LogitBlock {
    parallel::AnyActivation local;
    std::size_t first = 0, count = 0;  ///< rows of the states
};

/// Turns `rows` rows of states into logits and calls `take` with each block. Collective if `take`
/// is.
void for_logit_blocks(Transformer& model, parallel::AnyActivation const& states, std::size_t rows,
                      std::function<void(LogitBlock const&)> const& take);

/// Runs all prompts of a batch, in chunks of max_rows tokens, and hands on the logits that are
/// wanted. Collective.
void prefill(
    Transformer& model, StaticBatch& batch,
    std::function<void(LogitBlock const&, std::span<StaticBatch::Output const>)> const& take);

}  // namespace tesserank::model
