#pragma once

#include "kernels/backend.hpp"
#include "model/norm.hpp"
#include "parallel/redistribute.hpp"

#include <optional>

namespace tesserank::model {

/// The residual stream of one forward pass [T, H] f32, in whatever layout the plan wants it. What a
/// module gives is added when the next norm is computed, where one pass over memory can do both.
class ResidualStream {
  public:
    /// `whole`: memory for all rows on every rank.
    ResidualStream(kernels::Backend& backend, parallel::Redistributor& redistribute, int rank,
                   kernels::TensorView whole)
        : backend_{backend}, redistribute_{redistribute}, rank_{rank}, whole_{whole} {}

    /// Begins with the embedded rows, which lie in `whole` or, when they are to be scattered,
    /// elsewhere. Those that are cut by columns are joined by way of `pieces` [T, H].
    void start(parallel::AnyActivation const& embedded, parallel::Layout const& layout,
               kernels::TensorView pieces = {});

    /// Brings the stream into another layout. Communicates unless the pair is free.
    void move_to(parallel::Layout const& layout);

    /// Adds what is pending, then the norm into this layout's part of `place` [T, H].
    parallel::AnyActivation normed(Norm const& norm, kernels::TensorView place);
    /// The same, quantised in that part's memory, which is of bf16.
    parallel::AnyActivation normed_quantised(Norm const& norm, kernels::TensorView place);

    /// `delta`, in the stream's layout, is added before the stream is used next, times `scale`
    /// [1, H] by column where that has data; its memory must last until then.
    void add(parallel::AnyActivation const& delta, kernels::ConstTensorView scale = {});

    /// The same of partial sums [T, H] f32 that Redistributor::takes_sum_with_norm, to a stream
    /// that is replicated: they are summed over the ranks when they are added. `module`: whose they
    /// are, a name that lasts as long.
    void add_sum(kernels::TensorView const& partial, char const* module) {
        pending_ = {partial, {}, module};
    }

    /// This rank's part, complete.
    kernels::TensorView local();
    parallel::Layout const& layout() const { return layout_; }
    /// This one.
    int rank() const { return rank_; }

  private:
    struct Pending {
        kernels::TensorView delta;
        kernels::ConstTensorView scale;
        char const* sum_of = nullptr;  ///< the module whose partial sums these are
    };

    /// Adds what is pending, then the norm into y.
    template <class Rows>
    void norm_into(Norm const& norm, Rows const& y);
    void add_and_norm(Pending const& pending, Norm const& norm, kernels::TensorView const& y);
    void add_and_norm(Pending const& pending, Norm const& norm, kernels::QuantisedRows const& y);
    /// Sums over the ranks what is pending, where that waits for the norm.
    void sum_pending();

    /// This rank's part, without what is pending.
    kernels::TensorView part() const {
        return parallel::local_of(parallel::part_of(whole_, layout_, rank_));
    }

    kernels::Backend& backend_;
    parallel::Redistributor& redistribute_;
    int rank_;
    kernels::TensorView whole_;
    parallel::Layout layout_;
    std::optional<Pending> pending_;
};

}  // namespace tesserank::model
