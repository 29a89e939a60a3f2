#pragma once

#include "io/model_file/load_report.hpp"
#include "model/weight_source.hpp"

#include <cstddef>

namespace tesserank::io {

/// Weights that come from files, and what that has cost.
class FileWeights : public model::WeightSource {
  public:
    /// Of this rank, since the files were opened.
    virtual LoadReport report() const = 0;

    /// From now on load() holds on this rank at most four times so much, beside the weights' own
    /// places, but for what one block needs; never more than LoadOptions said. Collective; another
    /// number on each rank.
    virtual void bound_staging(std::size_t bytes) = 0;
};

}  // namespace tesserank::io
