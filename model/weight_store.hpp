#pragma once

#include "kernels/backend.hpp"
#include "model/module_spec.hpp"
#include "model/placement.hpp"
#include "model/weight_source.hpp"

#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace tesserank::model {

/// Owns this rank's weights. Modules first say what they need, which checks the file's tensors
/// against the config and allocates; then load() fills everything in one pass over the file.
class WeightStore {
  public:
    WeightStore(kernels::Backend& backend, WeightSource& source, int rank, int ranks);

    /// This rank's part of the weights that have `role` in a module, stacked by rows in one buffer
    /// [sum of rows, cols]; vectors give [1, sum]. A dimension is 0, and there is no data, where
    /// the rank holds nothing or the module has no such weight.  Errors: InputError when a tensor
    /// is missing or its shape is not what the config says.
    kernels::TensorView add(ModuleSpec const& module, Role role, Placement placement);

    /// A weight that is a table, of which each rank holds the given rows.
    kernels::TensorView add_rows(ModuleSpec const& module, Role role,
                                 std::span<parallel::Range const> rows_by_rank);

    /// Bytes allocated so far.
    std::size_t bytes() const { return bytes_; }

    /// Errors: InputError naming tensors of the file that no module has asked for: the config does
    /// not describe them, so results would be wrong. Frequencies that old checkpoints store beside
    /// the weights are left out.
    void check_all_used(std::span<std::string const> known_extras) const;

    /// Collective; see WeightSource::load.
    void load();

  private:
    kernels::DType check(WeightSpec const& weight) const;

    kernels::Backend& backend_;
    WeightSource& source_;
    int rank_, ranks_;
    std::size_t bytes_ = 0;
    std::vector<kernels::Tensor> tensors_;
    std::vector<WeightRequest> requests_;
    std::set<std::string, std::less<>> used_;
};

}  // namespace tesserank::model
