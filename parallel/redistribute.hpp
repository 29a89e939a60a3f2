#pragma once

#include "kernels/backend.hpp"
#include "parallel/communicator.hpp"
#include "parallel/layout.hpp"

namespace tesserank::parallel {

/// Turns an activation into another layout: the only place of the forward pass where ranks
/// communicate. Collective.
///
///     from -> to                       what is done                      bytes sent by a rank, of
///     the whole [T, H] Partial -> Replicated            all-reduce, in place              2
///     (P-1)/P Partial -> BatchSharded          reduce-scatter by sequence        (P-1)/P
///     BatchSharded -> Replicated       all-gather                        (P-1)/P
///     HiddenSharded -> Replicated      all-gather by column              (P-1)/P
///     Replicated -> BatchSharded       a view of this rank's rows        0
///     Replicated -> HiddenSharded      a view of this rank's columns     0
///     same -> same                     nothing                           0
///
/// Any other pair is a LogicError. `scratch` gives the memory for results that do not fit in place;
/// the result may point into it and is valid until the next redistribution with the same scratch.
class Redistributor {
  public:
    Redistributor(kernels::Backend& backend, Communicator& ranks);

    AnyActivation operator()(AnyActivation const& from, Layout const& to);

    /// Most callers want this one.
    Activation<Replicated> to_replicated(AnyActivation const& from);

  private:
    kernels::TensorView result(kernels::DType dtype, std::size_t rows, std::size_t cols);
    kernels::TensorView staging(kernels::DType dtype, std::size_t elements);

    kernels::Backend& backend_;
    Communicator& ranks_;
    kernels::Buffer result_, staging_;
    std::size_t result_bytes_ = 0, staging_bytes_ = 0;
};

}  // namespace tesserank::parallel
