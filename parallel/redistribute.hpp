#pragma once

#include "kernels/backend.hpp"
#include "kernels/trace.hpp"
#include "parallel/communicator.hpp"
#include "parallel/layout.hpp"
#include "parallel/peer_sums.hpp"

namespace tesserank::parallel {

/// Where the result of a redistribution lies, when it is not the input's own memory.
struct Destination {
    /// [T, H], contiguous. A rank's rows lie at their place in the whole, and so may the input:
    /// what lies there already is not copied. Only a reduce-scatter needs memory apart from its
    /// input.
    kernels::TensorView whole;
    /// As many elements; needed to join columns of more than one row, on the ranks that get them.
    kernels::TensorView pieces = {};
};

/// Turns an activation into another layout: the only place of the forward pass where ranks
/// communicate. Collective.
///
///     from -> to                       what is done              of the whole, a rank sends
///     Partial -> Replicated            all-reduce, in place      2 (P-1)/P
///     Partial -> BatchSharded          reduce-scatter by row     (P-1)/P
///     Partial -> OnRank(R)             reduce, in place          1, but for R
///     BatchSharded -> Replicated       all-gather                (P-1)/P
///     BatchSharded -> OnRank(R)        gather                    its rows, but for R
///     HiddenSharded -> Replicated      all-gather by column      (P-1)/P
///     HiddenSharded -> BatchSharded    all-gather by column      (P-1)/P
///     HiddenSharded -> OnRank(R)       gather by column          its columns, but for R
///     OnRank(R) -> Replicated          broadcast                 R: P-1 at most
///     OnRank(R) -> BatchSharded        scatter                   R: the others' rows
///     OnRank(R) -> OnRank(S)           transfer                  R: 1
///     Replicated -> BatchSharded       a view of its rows        0
///     Replicated -> HiddenSharded      a view of its columns     0
///     Replicated -> OnRank(R)          R's own, whole            0
///     same -> same, cut alike          nothing                   0
///
/// Any other pair is a LogicError, and so is a cut that does not fit the activation. Inputs are
/// contiguous. What was a Partial is overwritten.
class Redistributor {
  public:
    Redistributor(kernels::Backend& backend, Communicator& ranks)
        : backend_{backend}, ranks_{ranks} {}

    AnyActivation operator()(AnyActivation const& from, Layout const& to, Destination const& place);

    /// Whether add_rms_norm() takes partial sums like these: the same on all ranks.
    bool takes_sum_with_norm(kernels::ConstTensorView const& partial) const {
        return ranks_.peers() != nullptr && ranks_.peers()->takes(partial);
    }
    /// Partial -> Replicated in one kernel with what follows it: residual += the sum of partial,
    /// then y = rms_norm(residual); see PeerSums.
    void add_rms_norm(kernels::TensorView const& residual, Activation<Partial> const& partial,
                      kernels::ConstTensorView const& weight, float eps,
                      kernels::TensorView const& y) {
        kernels::TraceRange const range("Partial -> Replicated",
                                        kernels::TraceRange::Level::layout);
        ranks_.peers()->add_rms_norm(residual, partial.local, weight, eps, y);
    }

  private:
    using Place = Destination const&;
    Activation<Replicated> turn(Activation<Partial> const& from, Replicated to, Place place);
    Activation<BatchSharded> turn(Activation<Partial> const& from, BatchSharded const& to,
                                  Place place);
    Activation<OnRank> turn(Activation<Partial> const& from, OnRank to, Place place);
    Activation<Replicated> turn(Activation<BatchSharded> const& from, Replicated to, Place place);
    Activation<OnRank> turn(Activation<BatchSharded> const& from, OnRank to, Place place);
    Activation<Replicated> turn(Activation<HiddenSharded> const& from, Replicated to, Place place);
    Activation<BatchSharded> turn(Activation<HiddenSharded> const& from, BatchSharded const& to,
                                  Place place);
    Activation<OnRank> turn(Activation<HiddenSharded> const& from, OnRank to, Place place);
    Activation<Replicated> turn(Activation<OnRank> const& from, Replicated to, Place place);
    Activation<BatchSharded> turn(Activation<OnRank> const& from, BatchSharded const& to,
                                  Place place);
    Activation<OnRank> turn(Activation<OnRank> const& from, OnRank to, Place place);
    Activation<BatchSharded> turn(Activation<Replicated> const& from, BatchSharded const& to,
                                  Place place);
    Activation<HiddenSharded> turn(Activation<Replicated> const& from, HiddenSharded const& to,
                                   Place place);
    Activation<OnRank> turn(Activation<Replicated> const& from, OnRank to, Place place);
    template <class L>
    Activation<L> turn(Activation<L> const& from, L const& to, Place place);
    template <class From, class To>
    AnyActivation turn(Activation<From> const& from, To const& to, Place place);

    /// The whole on its rank, no rows elsewhere.
    Activation<OnRank> on_rank(kernels::TensorView const& whole, OnRank to) const;
    /// Before ranks see memory that operations are still writing. Calls that are queued see it then
    /// anyway.
    std::span<std::byte> ready(kernels::TensorView const& tensor);
    /// Puts packed pieces, rank by rank [T, h], side by side.
    void join_columns(kernels::TensorView const& packed, Partition const& cut,
                      kernels::TensorView const& whole);

    kernels::Backend& backend_;
    Communicator& ranks_;
};

}  // namespace tesserank::parallel
