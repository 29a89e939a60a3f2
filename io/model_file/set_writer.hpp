#pragma once

#include "io/model_file/model_writer.hpp"
#include "io/model_file/set_index.hpp"
#include "io/model_file/writer.hpp"
#include "model/held_regions.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::io {

/// How a model is cut into a set.
struct SetPlan {
    int ranks = 1;
    std::string placement;  ///< as it was asked for
    std::string plan;       ///< plan_text()
    std::map<std::string, model::HeldTensor, std::less<>> tensors;

    /// How the tensor is cut; nullptr when it goes whole to the shared file, as what no module
    /// needs does: loading can say then what it is.
    model::HeldTensor const* cut_of(std::string_view tensor) const;
};

/// The final names of a set's files in a folder: the shared one, then that of each rank.
std::vector<std::string> set_file_paths(std::string const& folder, int ranks);

/// A folder that is removed with its end, if it was made here and is empty.
class SetFolder {
  public:
    /// Errors: InputError when something else has the path, a set does that is to be kept, or files
    /// lie there that are none of a set.
    SetFolder(std::string path, Existing existing);
    ~SetFolder();
    SetFolder(SetFolder const&) = delete;
    SetFolder& operator=(SetFolder const&) = delete;

    std::string const& path() const { return path_; }
    /// Removes what earlier sets have left behind, set.json first: from then on there is none. What
    /// a set of so many ranks has under temporary names stays.
    void clear(int ranks) const;

  private:
    std::string path_;
    bool made_;
};

/// Lays a set out: each tensor that all ranks hold whole in the shared file, the parts of the
/// others in their ranks' files. All names are temporary until commit(), where a set that is to be
/// replaced stays until the new one is on the disk; set.json comes last, so that without it there
/// is no set. Errors: see ModelFileWriter; InputError for a tensor that has
/// another shape than the plan says.
class SetWriter final : public ModelWriter {
  public:
    SetWriter(std::string const& folder, SetPlan plan, Existing existing);

    /// The shared one, then that of each rank.
    std::vector<WritableFile> files() const override;
    void add_document(std::string_view name, std::string_view text) override;
    std::vector<Place> add_tensor(std::string const& name, kernels::DType dtype,
                                  std::vector<std::size_t> const& shape) override;
    void set_checksums(std::string const& name, std::span<Place const> places,
                       std::span<std::uint64_t const> checksums) override;
    void commit(std::vector<SourceFile> const& sources, Existing existing) override;

  private:
    SetPlan plan_;
    SetFolder folder_;
    PartialFile index_;  ///< its lock keeps two writers apart
    std::vector<ModelFileWriter> files_;
    std::vector<StoredTensor> tensors_;
};

}  // namespace tesserank::io
