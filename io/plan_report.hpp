#pragma once

#include "model/plan_facts.hpp"
#include "model/predictor.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace tesserank::io {

/// What a process takes of host memory besides its plan: libraries, MPI, requests, the model's
/// index. About: it depends on the machine, and MPI's part grows with the ranks. Measured with Open
/// MPI 4.1 on one node; `tesserank doctor` tells what a process has before there is a model.
inline constexpr std::size_t usual_process_bytes = std::size_t{48} << 20;

/// What a plan takes on some machine.
struct PlanPrediction {
    std::string machine;  ///< where the figures are from, for people
    model::PhaseTimes encode, prefill, decode;
};

/// Everything that a plan says, as a JSON object, for programs and for the page. Sizes in bytes;
/// lists "by rank" have one entry for each rank. Lists of modules and exchanges are in the order in
/// which a forward pass comes to them.
///
///     title, ranks      as given
///     backend           that the run is planned for: cuda, kokkos or reference
///     process_bytes     what each process takes besides, about; see usual_process_bytes
///     workload          batch, prompt, new_tokens; tiles (of the picture in each prompt)
///     modules           name, kind (embedding, norm, attention, mlp, lm_head; of a vision encoder
///     also
///                       patch_embedding, projector), placement;
///                       layouts: input, output, stream (of the residual stream; attention, mlp);
///                       by rank: units (that it computes), unit_begins (the first), weight_bytes
///     by_rank           weight_bytes, load_bytes (besides, while weights are quantised, before
///                       there is a cache), cache_bytes, workspace_bytes; of a vision encoder
///                       vision_bytes (its workspace), feature_bytes, picture_bytes (decoded
///                       tiles), released_bytes (of the encoder, before there is a cache);
///                       total_bytes (at most at the same time); sequences, tiles (of the batch,
///                       where the plan deals them out)
///     batch_start       exchanges, once for a batch
///     encode            passes of the vision encoder: tiles, count (in a batch), exchanges
///     prefill, decode   steps: rows, outputs (rows whose logits are wanted), count (in a batch),
///                       exchanges
///     notes             sentences: idle ranks, a pipeline
///     predicted         machine (what the times are based on, in words); encode, prefill, decode:
///     steps,
///                       seconds (of all of them), work_seconds, exchange_seconds, limit (what
///                       takes most of the time)
///
/// An exchange: module, place ("before" it, "within", "behind"), collective, bytes (of the whole
/// activation or message), from and to (layouts). That of batch_start has the module "batch".
std::string plan_report_json(model::PlanFacts const& facts, PlanPrediction const& prediction,
                             std::string_view title);

}  // namespace tesserank::io
