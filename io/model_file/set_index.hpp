#pragma once

#include "io/model_file/model_index.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::io {

inline constexpr std::uint64_t most_set_ranks = 1 << 16;

/// A file of a set, as it was written.
struct SetFile {
    std::string name;  ///< in the set's folder
    std::size_t bytes = 0;
    std::string sha256;  ///< see content_sha256()
};

/// What set.json says: a model cut into files for one plan, in a folder. The shared file has what
/// every rank holds whole, and the model's texts; a file for each rank has what only it holds.
struct SetIndex {
    std::string folder;
    int ranks = 1;
    std::string placement;  ///< as it was asked for
    std::string plan;       ///< plan_text()
    std::string model_sha256;
    std::vector<SetFile> files;         ///< the shared one, then by rank
    std::vector<StoredTensor> tensors;  ///< whole ones: name, dtype, shape and bytes alone

    std::string path_of(std::size_t file) const { return folder + "/" + files[file].name; }
    /// Of the file of a rank, for path_of() and the like.
    static std::size_t file_of_rank(int rank) { return static_cast<std::size_t>(rank) + 1; }
};

inline constexpr char set_index_name[] = "set.json";
/// "shared.h5", "rank0.h5", ...
std::string set_file_name(std::size_t file);
/// "shared", "rank 0", ...
std::string set_part_name(std::size_t file);

/// Whether a folder with a set.json is there.
bool is_set(std::string const& path);

/// set.json, and back. Errors: InputError naming the place in it.
std::string set_text(SetIndex const& set);
SetIndex parse_set(std::string_view text, std::string const& folder);

/// What is in a model file: SHA-256 of its texts, and of its tensors' names, types, shapes, regions
/// and checksums, which stand for their numbers.
std::string content_sha256(ModelIndex const& file);
/// What a model was made from, and into what: its sources' hashes and its tensors' types.
std::string model_sha256(std::vector<SourceFile> const& sources,
                         std::vector<StoredTensor> const& tensors);

/// Opens a file of a set, on this rank alone. Errors: InputError naming what was found, what was
/// expected and what to do, for a file that is missing, damaged, or not the one that was written
/// with the set: swapped, of another plan, rank count or model.
ModelIndex open_part(SetIndex const& set, std::size_t file);

/// The shared file of the set in a folder, with what set.json says. Errors: see open_part.
ModelIndex read_set(std::string const& folder);

}  // namespace tesserank::io
