#pragma once

#include "io/model_file/model_index.hpp"

#include <string>

namespace tesserank::io {

enum class TensorRows : unsigned char {
    single,
    grouped,  ///< tensors whose names differ in numbers alone share a line
};

/// What is in a model file, for people: source, config in brief, texts, parameters, tensors.
std::string model_report(ModelIndex const& index, TensorRows rows);

/// The same for programs, as a JSON object with every tensor and the whole config.
std::string model_report_json(ModelIndex const& index);

}  // namespace tesserank::io
