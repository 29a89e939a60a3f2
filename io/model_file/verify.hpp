#pragma once

#include "io/model_file/model_index.hpp"
#include "parallel/mpi_communicator.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace tesserank::io {

struct VerifyReport {
    std::size_t blocks = 0, bytes = 0;
    std::vector<std::string> damaged;  ///< "tensor x, rows 10 to 19", in the order of the file
};

/// The index itself, or those of every file of its set. Collective. Errors: see open_part; the same
/// on all ranks.
std::vector<ModelIndex> files_of(ModelIndex const& index, parallel::MpiCommunicator& ranks);

/// Reads every weight of one file once, the ranks sharing out the blocks, and compares checksums.
/// The report is the same on all ranks. Collective. `progress` is told the bytes of this rank's
/// share; it may be empty. Errors: as reading a file; the same on all ranks.
VerifyReport verify_model(
    ModelIndex const& index, parallel::MpiCommunicator& ranks,
    std::function<void(std::size_t bytes_done, std::size_t bytes_total)> const& progress = {});

}  // namespace tesserank::io
