#pragma once

#include "io/model_file/load_report.hpp"
#include "model/weight_source.hpp"

namespace tesserank::io {

/// Weights that come from files, and what that has cost.
class FileWeights : public model::WeightSource {
  public:
    /// Of this rank, since the files were opened.
    virtual LoadReport report() const = 0;
};

}  // namespace tesserank::io
