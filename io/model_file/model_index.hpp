#pragma once

#include "kernels/dtype.hpp"
#include "model/weight_source.hpp"
#include "parallel/mpi_communicator.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::io {

/// Where a tensor lies in a model file. Its bytes are one contiguous run of row-major,
/// little-endian numbers.
struct StoredTensor {
    std::string name;  ///< original, with dots
    kernels::DType dtype = kernels::DType::f32;
    std::vector<std::size_t> shape;  ///< empty for a single number
    std::size_t offset = 0;          ///< in the file; of no meaning when bytes is 0
    std::size_t bytes = 0;
    std::size_t block_bytes = 0;           ///< that one checksum covers; the last block may be less
    std::vector<std::uint64_t> checksums;  ///< XXH3-64 by block
    /// In a rank's file of a set: which regions of the whole tensor these are, one below the other;
    /// of the same columns. Empty: all of it.
    std::vector<model::Region> regions = {};

    /// The tensor as a matrix; see model::matrix_of().
    std::size_t rows() const;
    std::size_t cols() const;
    std::size_t elements() const { return bytes / kernels::size_of(dtype); }
};

/// A file that a model was converted from.
struct SourceFile {
    std::string name, sha256;
};

/// Says of a file to which set it belongs: written into it, so that a wrong one is noticed.
struct SetPart {
    std::string name;  ///< "shared" or "rank 2"
    std::string model_sha256, plan_sha256;
    int ranks = 1;
};

struct SetIndex;

/// What a model file holds, but for the numbers themselves; or the shared file of a set.
struct ModelIndex {
    std::string path;
    std::size_t file_bytes = 0;
    std::string created_by;
    std::vector<SourceFile> sources;
    std::map<std::string, std::string, std::less<>> documents;  ///< "config" -> its JSON text, ...
    std::vector<StoredTensor> tensors;                          ///< in the order of their bytes
    std::optional<SetPart> part = {};                           ///< of a file of a set
    std::shared_ptr<SetIndex const> set = {};                   ///< of a set's shared file

    /// The text of a document; nullptr where the file has none.
    std::string const* find_document(std::string_view name) const;
    /// Those of the file, or of the whole set: then places and checksums are their files' matter.
    std::vector<StoredTensor> const& all_tensors() const;
};

/// The bytes of a shape; InputError when they do not fit 63 bits.
std::size_t bytes_of_shape(std::vector<std::size_t> const& shape, kernels::DType dtype);
/// How convert cuts a tensor into blocks: whole rows as long as they fit most_block_bytes.
std::size_t block_bytes_for(std::vector<std::size_t> const& shape, kernels::DType dtype);

/// Reads and checks everything but the numbers, on this rank alone. The folder of a set gives its
/// shared file. Errors: InputError naming the file and the place in it, for a file that is not a
/// model file, is damaged or is of a newer format.
ModelIndex read_model_index(std::string const& path);

/// The same for one file of a set.
ModelIndex read_part_index(std::string const& path);

/// The same for a whole job: rank 0 reads and tells the others. Collective. Errors: the same on
/// all ranks.
ModelIndex open_model(std::string const& path, parallel::MpiCommunicator& ranks);

}  // namespace tesserank::io
