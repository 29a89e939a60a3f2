#pragma once

#include "io/input_file.hpp"
#include "io/model_file/load_report.hpp"
#include "io/model_file/load_rounds.hpp"
#include "kernels/backend.hpp"

#include <cstddef>
#include <map>
#include <span>

namespace tesserank::io {

/// Where direct loading reads from and puts things.
struct DirectTools {
    InputFile const& file;
    kernels::Backend& backend;
    int rank;                   ///< whose regions are meant
    std::size_t staging_bytes;  ///< of each of two buffers; one block may be more
    int reading_threads = 1;
};

/// Reads blocks in the order given, checks them and places what `rank` needs; the next ones are
/// read while some are placed. No communication. Adds to the report what was done. Errors: see
/// read_checked.
void load_directly(std::span<Block const> blocks,
                   std::map<StoredTensor const*, Wishes> const& wishes, DirectTools const& tools,
                   LoadReport& report);

}  // namespace tesserank::io
