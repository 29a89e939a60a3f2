#pragma once

#include "kernels/dtype.hpp"
#include "kernels/tensor.hpp"
#include "parallel/partition.hpp"

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace tesserank::model {

/// What a model file says of a tensor.
struct TensorInfo {
    kernels::DType dtype = kernels::DType::f32;
    std::vector<std::size_t> shape;
};

/// A tensor seen as a matrix.
struct MatrixShape {
    std::size_t rows = 1, cols = 1;
    bool operator==(MatrixShape const&) const = default;
};

/// Without the dimensions of 1 in front of the last two, the first dimension and the product of the
/// rest: a table [1, N, H] is [N, H]. A vector [N] is [N, 1], a single number [1, 1].
MatrixShape matrix_of(std::span<std::size_t const> shape);

/// A rectangle of a tensor seen as a matrix; see matrix_of().
struct Region {
    parallel::Range rows, cols;
    bool operator==(Region const&) const = default;
};

/// Asks for one tensor, cut over the ranks. Every rank makes the same request, but for
/// `destination`.
struct WeightRequest {
    std::string tensor;
    std::vector<Region>
        regions;  ///< by rank; may overlap (replicated, shared kv heads) or be empty
    kernels::TensorView
        destination;  ///< this rank's region; same dtype as the file; rows of stride `stride`
};

/// Where weights come from; io implements it.
class WeightSource {
  public:
    virtual ~WeightSource() = default;

    /// Every tensor of the file by its original name; the same on all ranks.
    virtual std::map<std::string, TensorInfo, std::less<>> const& tensors() const = 0;

    /// Fills all destinations. Collective: every rank passes the same requests in the same order.
    /// Each byte of the file is read at most once in the whole job, by one rank, checked against
    /// its checksum, and sent on. Errors: InputError naming file, tensor and row block on a wrong
    /// checksum or a short file; the same on all ranks.
    virtual void load(std::span<WeightRequest const> requests) = 0;
};

}  // namespace tesserank::model
