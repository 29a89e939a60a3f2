#pragma once

#include "io/input_file.hpp"
#include "io/model_file/file_weights.hpp"
#include "io/model_file/load_choice.hpp"
#include "io/model_file/load_rounds.hpp"
#include "io/model_file/model_index.hpp"
#include "kernels/backend.hpp"
#include "parallel/mpi_communicator.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tesserank::io {

struct LoadOptions {
    /// Bytes that a rank holds at most of each: what it reads, what it has read, what it sends,
    /// what it receives; one block sent to many ranks may be more.
    static constexpr std::size_t most_staging_bytes = std::size_t{64} << 20;

    LoadMode mode = LoadMode::cooperative;
    std::size_t staging_bytes = most_staging_bytes;
    /// Which node each rank is on; empty: as MPI says.
    std::vector<int> nodes = {};
    /// What LoadMode::automatic decides by.
    std::function<bool(LoadEstimate const&)> prefers_direct = io::prefers_direct;
};

/// What becomes of `bytes` of staging where no more than `wanted` are to be used: a block fits in
/// any case.
std::size_t bounded_staging(std::size_t bytes, std::size_t wanted);

/// Weights from one model file, see LoadMode. Cooperatively each rank reads its share of the blocks
/// in few large reads, checks them, and sends every piece to the ranks whose region it is in; over
/// the network once for each node. What all ranks of one node want whole is broadcast.
class Hdf5WeightSource final : public FileWeights {
  public:
    /// `index` comes from open_model(). Opens the file on every rank. Collective. Errors:
    /// InputError when a rank sees no such file, or another one.
    Hdf5WeightSource(ModelIndex index, parallel::MpiCommunicator& ranks, kernels::Backend& backend,
                     LoadOptions options = {});
    ~Hdf5WeightSource() override;

    std::map<std::string, model::TensorInfo, std::less<>> const& tensors() const override {
        return infos_;
    }

    /// See WeightSource. A tensor that several requests name is read once. Blocks that no rank
    /// needs are not read. Sends what the ranks' regions need beyond their own share of the file.
    void load(std::span<model::WeightRequest const> requests) override;

    LoadReport report() const override { return report_; }
    void bound_staging(std::size_t bytes) override;

  private:
    using WishesByTensor = std::map<StoredTensor const*, Wishes>;
    WishesByTensor check(std::span<model::WeightRequest const> requests) const;
    std::vector<Block> load_cooperatively(LoadRounds rounds);
    void load_directly(std::span<Block const> blocks, WishesByTensor const& wishes);
    bool stops(LoadMeasure const& measure) const;

    ModelIndex index_;
    parallel::MpiCommunicator& ranks_;
    kernels::Backend& backend_;
    LoadOptions options_;
    std::vector<std::size_t> staging_bytes_;  ///< by rank
    int reading_threads_;                     ///< see BackgroundRead
    std::map<std::string, model::TensorInfo, std::less<>> infos_;
    std::map<std::string, StoredTensor const*, std::less<>> stored_;
    std::unique_ptr<InputFile const> file_;
    LoadReport report_;
};

}  // namespace tesserank::io
