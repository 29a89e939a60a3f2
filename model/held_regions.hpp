#pragma once

#include "model/decoder_config.hpp"
#include "model/module_spec.hpp"
#include "model/placement.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace tesserank::model {

/// What each rank holds of a weight of this module. Of tied embeddings the embedding holds what the
/// lm_head needs too, which then holds nothing.
std::vector<Region> regions_held(DecoderConfig const& config, PlacementPlan const& plan,
                                 ModuleSpec const& module, WeightSpec const& weight);

/// A tensor as a matrix, and what each rank holds of it.
struct HeldTensor {
    std::size_t rows = 0, cols = 0;
    /// By rank: apart from each other, by rising row. Several only of the same columns: heads of q,
    /// k and v that are one tensor.
    std::vector<std::vector<Region>> regions;

    /// Whether every rank holds all of it.
    bool whole_everywhere() const;
};

/// Every tensor that a plan needs, by name. Those slices of one that follow each other are one
/// region.
std::map<std::string, HeldTensor, std::less<>> tensors_held(DecoderConfig const& config,
                                                            PlacementPlan const& plan);

}  // namespace tesserank::model
