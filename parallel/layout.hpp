#pragma once

#include "kernels/tensor.hpp"
#include "parallel/partition.hpp"

#include <cstddef>
#include <string_view>
#include <variant>

namespace tesserank::parallel {

/// How an activation [T, H] is spread over the ranks. Inside a module the layout is a type, so that
/// a wrong pairing does not compile; between modules it is a value (AnyActivation), because the
/// plan is data.

/// Every rank holds the same [T, H].
struct Replicated {};
/// The value is the sum of the ranks' [T, H].
struct Partial {};
/// Rank r holds the columns cut.of(r): [T, h].
struct HiddenSharded {
    Partition cut;
};
/// Rank r holds the rows cut.of(r), whole sequences: [t, H].
struct BatchSharded {
    Partition cut;
};
/// Rank `rank` holds all `rows` rows: [T, H]; the others hold none: [0, H].
struct OnRank {
    int rank = 0;
    std::size_t rows = 0;
};

/// This rank's part of an activation; borrowed.
template <class L>
struct Activation {
    kernels::TensorView local;
    L layout;
    /// Of rows that are quantised (kernels::QuantisedRows), which do not go to other ranks; else no
    /// data.
    kernels::TensorView scales = {};
};

using Layout = std::variant<Replicated, Partial, HiddenSharded, BatchSharded, OnRank>;
using AnyActivation =
    std::variant<Activation<Replicated>, Activation<Partial>, Activation<HiddenSharded>,
                 Activation<BatchSharded>, Activation<OnRank>>;

/// "Replicated", "Partial", ...
std::string_view name_of(Layout const& layout);
Layout layout_of(AnyActivation const& activation);
/// Whether both are the same way of spreading an activation, on the same rank; how it is cut may
/// differ.
bool same_kind(Layout const& a, Layout const& b);
kernels::TensorView const& local_of(AnyActivation const& activation);

/// What `rank` holds, in this layout, of an activation whose memory `whole` [T, H] every rank has:
/// the rows or columns at their place. No data moves.
AnyActivation part_of(kernels::TensorView const& whole, Layout const& layout, int rank);

}  // namespace tesserank::parallel
