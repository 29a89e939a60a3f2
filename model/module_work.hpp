#pragma once

#include "model/decoder_config.hpp"
#include "model/machine.hpp"
#include "model/module_spec.hpp"
#include "model/placement.hpp"
#include "model/plan_facts.hpp"

#include <cstddef>
#include <optional>
#include <vector>

namespace tesserank::model {

/// A model as a plan sees it. The references must outlive the object.
struct PlannedWork {
    DecoderConfig const& config;
    TransformerOptions const& options;
    DTypeOf const& dtype_of;
    int ranks = 1;
};

/// What a forward pass computes, as far as its cost depends on it; or a pass of the vision encoder,
/// see vision_loads_of().
struct StepLoad {
    Step::Phase phase = Step::Phase::prefill;
    StepShape shape;
    std::size_t context = 1;  ///< positions that a row sees, on average
    std::size_t batch = 1;    ///< sequences of the whole batch, by which rows are dealt out
};

/// The loads of a batch, each with the number of times that it runs: its prefill, or its decode
/// steps.
struct CountedLoad {
    StepLoad load;
    std::size_t count = 1;
};
std::vector<CountedLoad> loads_of(Workload const& workload, TransformerOptions const& options,
                                  int owners, Step::Phase phase);

/// What one rank computes of a module in a forward pass.
struct ModuleWork {
    std::vector<GemmWork> gemms;
    std::optional<AttentionWork> attention;
    std::size_t pass_bytes = 0;  ///< that elementwise work reads and writes

    bool operator==(ModuleWork const&) const = default;
    bool empty() const { return gemms.empty() && !attention && pass_bytes == 0; }
};

/// Of so many rows of a whole batch, those that a rank computes of a module.
std::size_t rows_on(std::size_t rows, Placement placement, StepLoad const& load, int rank,
                    int ranks);

/// In which dtype a GEMM reads the weights of a role.
kernels::DType weight_dtype(PlannedWork const& model, ModuleSpec const& module, Role role);

/// The sliding window of an attention module; 0 for none, and for other modules.
std::size_t window_of(DecoderConfig const& config, ModuleSpec const& module);

/// Of a module that is no norm.
ModuleWork work_of(PlannedWork const& model, ModuleSpec const& module, Placement placement,
                   int rank, StepLoad const& load);

/// Of a norm of `hidden` columns where the residual stream lies, which adds a module's result and
/// norms the sum for the next one.
ModuleWork norm_work_of(PlannedWork const& model, std::size_t hidden, parallel::LayoutKind stream,
                        int rank, StepLoad const& load);

/// What the ranks compute of it at the same time.
struct RanksWork {
    std::vector<ModuleWork> different;  ///< none is empty; ranks that do the same are one
    Busy busy = Busy::all;              ///< one: a rank has the node's memory for itself
};
RanksWork works_of(PlannedWork const& model, ModuleSpec const& module, Placement placement,
                   StepLoad const& load);
RanksWork norm_works_of(PlannedWork const& model, std::size_t hidden, parallel::LayoutKind stream,
                        StepLoad const& load);

}  // namespace tesserank::model
