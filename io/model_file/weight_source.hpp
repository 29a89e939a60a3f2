#pragma once

#include "io/input_file.hpp"
#include "io/model_file/model_index.hpp"
#include "kernels/backend.hpp"
#include "model/weight_source.hpp"
#include "parallel/mpi_communicator.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>

namespace tesserank::io {

/// Cooperative loading from a model file: each rank reads its share of the blocks in few large
/// reads, checks them, and sends every piece to the ranks whose region it is in; what all ranks
/// want whole is broadcast.
class Hdf5WeightSource final : public model::WeightSource {
  public:
    /// Bytes that a rank holds at most of what it has read, of what it sends and of what it
    /// receives, each; one block sent to all ranks may be more.
    static constexpr std::size_t most_staging_bytes = std::size_t{64} << 20;

    /// `index` comes from open_model(). Opens the file on every rank. Collective. Errors:
    /// InputError when a rank sees no such file, or another one.
    Hdf5WeightSource(ModelIndex index, parallel::MpiCommunicator& ranks, kernels::Backend& backend,
                     std::size_t staging_bytes = most_staging_bytes);
    ~Hdf5WeightSource() override;

    std::map<std::string, model::TensorInfo, std::less<>> const& tensors() const override {
        return infos_;
    }

    /// See WeightSource. A tensor that several requests name is read once. Blocks that no rank
    /// needs are not read. Sends what the ranks' regions need beyond their own share of the file.
    void load(std::span<model::WeightRequest const> requests) override;

    /// Bytes of weights that this rank has read from the file so far.
    std::size_t bytes_read() const { return bytes_read_; }

  private:
    ModelIndex index_;
    parallel::MpiCommunicator& ranks_;
    kernels::Backend& backend_;
    std::size_t staging_bytes_;
    std::map<std::string, model::TensorInfo, std::less<>> infos_;
    std::map<std::string, StoredTensor const*, std::less<>> stored_;
    std::unique_ptr<InputFile const> file_;
    std::size_t bytes_read_ = 0;
};

}  // namespace tesserank::io
