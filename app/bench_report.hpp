#pragma once

#include "app/plan_table.hpp"
#include "model/plan_facts.hpp"

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

namespace tesserank::app {

/// What equal runs took, each; at least one where something is asked of them.
struct Timings {
    std::vector<double> seconds;

    double median() const;  ///< of an even number, the mean of the two in the middle
    double least() const;
    double most() const;
};

/// One plan with one batch size.
struct BatchTimes {
    model::Workload workload;
    Timings prefill;  ///< from the prompts until each sequence has its first token
    Timings decode;   ///< the tokens behind it, in all
    Timings total;
    /// What rank 0's host did for each step besides waiting; empty where it decides each step.
    Timings host;
    Traffic prefill_traffic, decode_traffic;

    double prompt_tokens_per_second() const;
    /// Of the median; 0 where there is one new token.
    double seconds_per_step() const;
    double new_tokens_per_second() const;
};

/// One plan, and so many tiles.
struct EncodeTimes {
    std::size_t tiles = 0;
    Timings encode;  ///< from pixels on rank 0 to features on every rank
    Traffic traffic;

    double tiles_per_second() const;
};

struct PlanTimes {
    std::string placement;  ///< as given
    double load_seconds = 0.0;
    std::vector<std::size_t> weight_bytes;   ///< by rank
    std::vector<std::size_t> encoder_bytes = {};  ///< by rank: weights and workspace, if there is one
    std::vector<BatchTimes> batches;
    std::vector<EncodeTimes> encodings = {};
};

struct BenchReport {
    std::string title, backend, dtype;
    std::string weights;                 ///< "synthetic" or "file"
    std::string weight_format = "file";  ///< or "fp8"
    int ranks = 1, ranks_on_node = 1;
    std::size_t warmup = 0, repeat = 0;
    std::vector<PlanTimes> plans;
};

/// For people: a table for each batch size, and for each number of tiles.
void print_bench(std::ostream& out, BenchReport const& report);

/// The same for programs, all runs included: a JSON object.
///
///     title, ranks, ranks_on_node, backend, dtype, weights, weight_format, warmup,
///     repeat
///     plans     placement (as given), load_seconds; by rank weight_bytes, and encoder_bytes (of a
///               vision encoder, weights and workspace); and
///     batches   batch, prompt, new_tokens;
///               prefill, decode, total: median, min, max, runs, in seconds;
///               host_seconds_per_step (the median; where decoding is resident, what the host does
///               for a step besides waiting for the device);
///               decode_seconds_per_step, prompt_tokens_per_second, new_tokens_per_second;
///               sent: prefill and decode, each with collectives and bytes, as `plan` counts them
///     encodings tiles; encode as the times above; tiles_per_second; sent
std::string bench_json(BenchReport const& report);

}  // namespace tesserank::app
