#pragma once

#include "model/calibrate.hpp"
#include "model/decoder_config.hpp"
#include "model/forward_memory.hpp"
#include "model/plan_facts.hpp"

#include <vector>

namespace tesserank::model {

/// A grid of shapes that serves any model: matrices of 512 to 8192 rows and columns, 1 to 256 rows
/// of activations, messages of 4 bytes to 16 MiB.
CalibrationRequest general_calibration(double seconds);

/// Elementwise passes from what stays in a core's cache to what does not.
std::vector<Task<PassWork>> pass_sizes();

/// What a model runs with one workload, under any placement on so many ranks.
struct ModelRun {
    DecoderConfig const& config;
    TransformerOptions options;
    Workload workload;
    DTypeOf const& dtype_of;
    int ranks = 1;
};

/// Adds what a search for the model's plan asks of a machine (module_work.hpp): matrices and heads
/// whole and cut, for all rows of a step and for those of a rank when sequences are dealt out, and
/// the messages of its activations and of the choice of tokens.
void add_model_shapes(CalibrationRequest& request, ModelRun const& run);

/// The shapes of this run alone, read from as much memory as the model has weights.
CalibrationRequest quick_calibration(ModelRun const& run, double seconds);

}  // namespace tesserank::model
