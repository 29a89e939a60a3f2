#pragma once

#include "kernels/tensor.hpp"
#include "parallel/partition.hpp"

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

/// This rank's part of an activation; borrowed.
template <class L>
struct Activation {
    kernels::TensorView local;
    L layout;
};

using Layout = std::variant<Replicated, Partial, HiddenSharded, BatchSharded>;
using AnyActivation = std::variant<Activation<Replicated>, Activation<Partial>,
                                   Activation<HiddenSharded>, Activation<BatchSharded>>;

/// "Replicated", "Partial", ...
std::string_view name_of(Layout const& layout);
Layout layout_of(AnyActivation const& activation);

}  // namespace tesserank::parallel
