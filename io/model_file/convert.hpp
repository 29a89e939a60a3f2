#pragma once

#include "io/model_file/set_writer.hpp"
#include "io/requests/partial_file.hpp"
#include "kernels/dtype.hpp"
#include "parallel/mpi_communicator.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tesserank::io {

struct ConvertOptions {
    std::string source_folder;
    std::string model_path;                    ///< of the file, or of the set's folder
    std::optional<SetPlan> set = {};           ///< to write a set
    std::optional<kernels::DType> dtype = {};  ///< for every tensor; none: as in the source
    Existing existing = Existing::keep;
    /// Told how much has been read: by this rank, scaled to the whole; may be empty.
    std::function<void(std::size_t bytes_done, std::size_t bytes_total)> progress = {};
};

struct ConvertReport {
    std::size_t tensors = 0, elements = 0;
    std::size_t source_bytes = 0;
    std::vector<std::string> skipped;  ///< tensors of whole numbers, which are no weights
};

/// Turns a checkpoint folder into one model file, or a set, whose bytes do not depend on the number
/// of ranks. Memory does not grow with the model: a rank reads its share of the source (see
/// share_conversion) from front to back, hashes, casts and writes it block by block; what grows is
/// the index, about a kilobyte per tensor. Rank 0 alone makes the files and gives them their names;
/// the others write into them. Errors: InputError for a source that is not right, and for a model
/// file that exists already; SystemError when the disk is full; the same on all ranks. Nothing is
/// left behind then, and what was to be replaced is as it was; only where a set's files, which are
/// whole by then, cannot be renamed some have their names, and there is no set.
/// `ranks`: who takes part, each with the same options; none: this process alone, without MPI.
/// Collective over them.
ConvertReport convert_checkpoint(ConvertOptions const& options,
                                 parallel::MpiCommunicator* ranks = nullptr);

}  // namespace tesserank::io
