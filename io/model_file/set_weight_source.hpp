#pragma once

#include "io/input_file.hpp"
#include "io/model_file/file_weights.hpp"
#include "io/model_file/load_rounds.hpp"
#include "io/model_file/set_index.hpp"
#include "io/model_file/weight_source.hpp"
#include "kernels/backend.hpp"
#include "parallel/mpi_communicator.hpp"

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace tesserank::io {

/// Weights from a set: each rank reads its own file, and all of them the shared one as
/// LoadOptions says.
class SetWeightSource final : public FileWeights {
  public:
    /// `index` comes from open_model() and has a set. Opens the ranks' files. Collective. Errors:
    /// InputError for another number of ranks than the set's, or see open_part.
    SetWeightSource(ModelIndex index, parallel::MpiCommunicator& ranks, kernels::Backend& backend,
                    LoadOptions options = {});
    ~SetWeightSource() override;

    std::map<std::string, model::TensorInfo, std::less<>> const& tensors() const override {
        return infos_;
    }

    /// See WeightSource. Errors: also InputError when the set was written for other regions.
    void load(std::span<model::WeightRequest const> requests) override;

    LoadReport report() const override;
    void bound_staging(std::size_t bytes) override;

  private:
    void load_own(std::span<model::WeightRequest const> requests);
    model::WeightRequest own_request(model::WeightRequest const& request) const;

    std::shared_ptr<SetIndex const> set_;
    parallel::MpiCommunicator& ranks_;
    kernels::Backend& backend_;
    std::size_t staging_bytes_;
    int reading_threads_;
    std::map<std::string, model::TensorInfo, std::less<>> infos_;
    std::map<std::string, StoredTensor const*, std::less<>> whole_;  ///< as set.json lists them
    std::optional<Hdf5WeightSource> shared_;
    ModelIndex own_;
    std::map<std::string, StoredTensor const*, std::less<>> pieces_;  ///< of own_
    std::unique_ptr<InputFile const> own_file_;
    LoadReport report_;  ///< of the rank's own file
};

/// Weights of a model file or set. Collective; see there.
std::unique_ptr<FileWeights> open_weights(ModelIndex const& index, parallel::MpiCommunicator& ranks,
                                          kernels::Backend& backend, LoadOptions options);

}  // namespace tesserank::io
