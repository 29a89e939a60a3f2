#pragma once

#include "model/static_batch.hpp"
#include "model/transformer.hpp"

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

/// Copies one row [1, V] from the backend's memory to the sink.
void append_row(LogitsSink& sink, std::string const& request_id, kernels::Backend& backend,
                kernels::ConstTensorView row);

/// Turns hidden states [rows, H] into logits, at most max_logit_rows at once: calls `take` with
/// each block and the index of its first row. Collective.
void for_logit_blocks(
    Transformer& model, parallel::Activation<parallel::Replicated> states,
    std::function<void(kernels::ConstTensorView logits, std::size_t first)> const& take);

/// Runs all prompts of a batch, in chunks of max_rows tokens, and hands on the logits that are
/// wanted. Collective.
void prefill(Transformer& model, StaticBatch& batch,
             std::function<void(kernels::ConstTensorView logits,
                                std::span<StaticBatch::Output const>)> const& take);

}  // namespace tesserank::model
