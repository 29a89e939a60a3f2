#pragma once

#include "kernels/backend.hpp"
#include "parallel/communicator.hpp"
#include "parallel/layout.hpp"

#include <cstddef>
#include <span>

namespace tesserank::parallel {

/// Turns an activation into another layout: the only place of the forward pass where ranks
/// communicate. Collective.
///
///     from -> to                       what is done              of the whole, a rank sends
///     Partial -> Replicated            all-reduce, in place      2 (P-1)/P
///     Partial -> BatchSharded          reduce-scatter by row     (P-1)/P
///     BatchSharded -> Replicated       all-gather                (P-1)/P
///     HiddenSharded -> Replicated      all-gather by column      (P-1)/P
///     Replicated -> BatchSharded       a view of its rows        0
///     Replicated -> HiddenSharded      a view of its columns     0
///     same -> same, cut alike          nothing                   0
///
/// Any other pair is a LogicError, and so is a cut that does not fit the activation. What was a
/// Partial is overwritten. Results that do not fit in place lie in memory of the Redistributor,
/// valid until its next call with another activation; that memory grows to the largest result and
/// stays. The result of one call may be the input of the next.
class Redistributor {
  public:
    Redistributor(kernels::Backend& backend, Communicator& ranks);

    AnyActivation operator()(AnyActivation const& from, Layout const& to);

    /// Most callers want this one.
    Activation<Replicated> to_replicated(AnyActivation const& from);

  private:
    /// Memory that grows and is reused.
    struct Scratch {
        kernels::Buffer memory;
        std::size_t bytes = 0;
    };

    Activation<Replicated> turn(Activation<Partial> const& from, Replicated to);
    Activation<BatchSharded> turn(Activation<Partial> const& from, BatchSharded const& to);
    Activation<Replicated> turn(Activation<BatchSharded> const& from, Replicated to);
    Activation<Replicated> turn(Activation<HiddenSharded> const& from, Replicated to);
    Activation<BatchSharded> turn(Activation<Replicated> const& from, BatchSharded const& to);
    Activation<HiddenSharded> turn(Activation<Replicated> const& from, HiddenSharded const& to);
    template <class L>
    Activation<L> turn(Activation<L> const& from, L const& to);
    template <class From, class To>
    AnyActivation turn(Activation<From> const& from, To const& to);

    void keep_alive(kernels::TensorView const& input);
    kernels::TensorView contiguous(kernels::TensorView const& view);
    kernels::TensorView tensor_in(Scratch& scratch, kernels::DType dtype, std::size_t rows,
                                  std::size_t cols);
    /// Gathers pieces that lie one after the other in `all`, this rank's own from `mine`.
    void gather(kernels::TensorView const& mine, kernels::TensorView const& own_place,
                std::span<std::size_t const> elements, kernels::TensorView const& all);

    kernels::Backend& backend_;
    Communicator& ranks_;
    Scratch result_;    ///< what the last call returned may lie here
    Scratch staging_;   ///< pieces on their way
    Scratch previous_;  ///< an input that lay in result_
};

}  // namespace tesserank::parallel
