#pragma once

#include "model/predictor.hpp"

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace tesserank::model {

/// What a search for a plan depends on. The references must outlive the object.
struct PlannerInput {
    PlannedWork model;
    Workload workload;
    Machine const& machine;
    std::optional<std::size_t> bytes_per_rank = {};  ///< that a plan may take; nullopt: any
};

struct RankedPlan {
    PlacementPlan plan;
    PlanCost encode, prefill, decode;  ///< seconds of a batch
    std::size_t most_bytes = 0;        ///< on the rank that holds most

    double seconds() const { return encode.total() + prefill.total() + decode.total(); }
};

/// The placements from which a search chooses. Single ranks beyond some would only rename the
/// others: first and last, or `every_rank` of few.
std::vector<Placement> placements_to_try(int ranks, bool every_rank);

/// The plan of least predicted time that fits the memory (of those whose times differ by less than
/// 1 % the one that takes the least memory), then the next best ones that differ in more than the
/// embeddings and the projector, fastest first: at most `count`. Comes from a search that may place
/// every layer differently, and from all plans that place modules of a kind alike; those of a
/// vision encoder and of a text model are put together in every way. Deterministic. Empty when
/// nothing fits.
std::vector<RankedPlan> best_plans(PlannerInput const& input, std::size_t count);

/// The presets whose plans take at most so many bytes on each rank.
std::vector<std::string_view> fitting_presets(PlannedWork const& model, Workload const& workload,
                                              std::size_t bytes_per_rank);

}  // namespace tesserank::model
