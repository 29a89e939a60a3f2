#pragma once

#include "io/model_file/model_writer.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tesserank::io {

/// Lays a model file out under a temporary name; commit() gives it its real name, and without it
/// nothing is left behind. What a tensor costs in the file does not depend on its bytes, so that
/// the file is the same whoever writes them. Errors of all: SystemError with the system's text when
/// the disk is full; InputError naming a tensor whose name cannot be kept.
class ModelFileWriter final : public ModelWriter {
  public:
    explicit ModelFileWriter(std::string const& path);
    ~ModelFileWriter() override;
    ModelFileWriter(ModelFileWriter&&) noexcept;
    ModelFileWriter& operator=(ModelFileWriter&&) = delete;

    std::vector<WritableFile> files() const override;
    void add_document(std::string_view name, std::string_view text) override;
    /// One place.
    std::vector<Place> add_tensor(std::string const& name, kernels::DType dtype,
                                  std::vector<std::size_t> const& shape) override;
    /// A tensor of which the file has only these regions, see StoredTensor::regions: as a matrix.
    Place add_piece(std::string const& name, kernels::DType dtype,
                    std::span<model::Region const> regions);
    void set_checksums(std::string const& name, std::span<Place const> places,
                       std::span<std::uint64_t const> checksums) override;

    /// Says that the file is one of a set.
    void mark_part(SetPart part);
    /// The first half of commit(): all but the real name. Nothing can be added from then on.
    void finish(std::vector<SourceFile> const& sources);
    /// The second half, which takes no space on the disk.
    void give_name(Existing existing);
    void commit(std::vector<SourceFile> const& sources,
                Existing existing = Existing::replace) override;

    /// The temporary name.
    std::string const& partial() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace tesserank::io
