#pragma once

#include "io/requests/output_file.hpp"

#include <cstddef>
#include <span>
#include <string>

namespace tesserank::io {

struct MergedResults {
    std::size_t results = 0, errors = 0;
};

/// Writes the lines of result files one file behind the other, as they are. Errors: InputError
/// naming file and line, for a file whose run is not over (its journal is there), a line that is no
/// result, or an id that another line without an
/// error has already.
MergedResults merge_results(std::span<std::string const> parts, OutputFile& output);

}  // namespace tesserank::io
