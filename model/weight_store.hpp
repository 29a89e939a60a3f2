#pragma once

#include "kernels/backend.hpp"
#include "model/linear.hpp"
#include "model/module_spec.hpp"
#include "model/placement.hpp"
#include "model/weight_format.hpp"
#include "model/weight_source.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace tesserank::model {

/// Owns this rank's weights. Modules first say what they need, which checks the file's tensors
/// against the config and allocates; then load() fills everything in one pass over the file. What
/// is quantised goes module by module through a buffer that has room for the largest one, in the
/// dtype of the file.
class WeightStore {
  public:
    WeightStore(kernels::Backend& backend, WeightSource& source, int rank, int ranks,
                WeightFormat format = WeightFormat::file);

    /// This rank's part of the weights that have `role` in a module, stacked by rows in one buffer
    /// [sum of rows, cols]; vectors give [1, sum]. A dimension is 0, and there is no data, where
    /// the rank holds nothing or the module has no such weight.  Errors: InputError when a tensor
    /// is missing or its shape is not what the config says.
    kernels::TensorView add(ModuleSpec const& module, Role role, Placement placement);

    /// The same of a linear layer, in the store's format: a rank that holds only some columns of
    /// the weight scales its rows by their largest element among those columns.
    LinearWeights add_linear(ModuleSpec const& module, Role role, Role bias, Placement placement);

    /// A weight that is a table, of which each rank holds the given rows.
    kernels::TensorView add_rows(ModuleSpec const& module, Role role,
                                 std::span<parallel::Range const> rows_by_rank);

    /// Bytes allocated so far for what stays.
    std::size_t bytes() const { return bytes_; }

    /// Allocates what load() needs besides, when all weights have been added.
    void prepare_load();

    /// What prepare_load() has allocated and load() has not freed.
    std::size_t load_bytes() const { return buffer_ ? buffer_.get_deleter().bytes : 0; }

    /// Collective; see WeightSource::load. Frees what prepare_load() has allocated.
    void load();

  private:
    /// Weights of one role in a module, as the file has them, to be stacked by rows.
    struct Stack {
        std::vector<WeightRequest> requests;  ///< without their destinations
        std::vector<std::size_t> heights;     ///< on this rank, by request
        kernels::DType dtype = kernels::DType::f32;
        bool vector = false;
        std::size_t rows = 0, cols = 0;  ///< on this rank

        std::size_t bytes() const { return rows * cols * kernels::size_of(dtype); }
        /// The requests, to be loaded into `whole`.
        std::vector<WeightRequest> into(kernels::TensorView whole) const;
    };
    /// A stack that is quantised, and what becomes of it.
    struct Quantised {
        Stack stack;
        kernels::TensorView weight, scales;
    };
    /// What is in the buffer at the same time.
    struct Stage {
        std::string module;
        std::vector<Quantised> weights;

        std::size_t bytes() const;
    };

    kernels::DType check(WeightSpec const& weight) const;
    Stack stack_of(ModuleSpec const& module, Role role, Placement placement);
    kernels::TensorView allocate(kernels::DType dtype, std::size_t rows, std::size_t cols);
    void load(Stage const& stage);

    kernels::Backend& backend_;
    WeightSource& source_;
    int rank_, ranks_;
    WeightFormat format_;
    std::size_t bytes_ = 0;
    std::vector<kernels::Tensor> tensors_;
    std::vector<WeightRequest> requests_;
    /// The same modules with the same requests on all ranks.
    std::vector<Stage> stages_;
    kernels::Buffer buffer_;
};

}  // namespace tesserank::model
