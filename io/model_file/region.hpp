#pragma once

#include "model/weight_source.hpp"

#include <cstddef>
#include <functional>

namespace tesserank::io {

/// Consecutive elements of a row-major matrix, counted from its first.
struct ElementRun {
    std::size_t first = 0, count = 0;
    bool operator==(ElementRun const&) const = default;
};

/// How many elements of `region` lie within `run`. `width` is the matrix's number of columns.
std::size_t elements_within(model::Region const& region, std::size_t width, ElementRun run);

/// Calls visit for each run of elements of `region` within `run`, in order: one run where the
/// region has whole rows, else one per row.
void visit_runs(model::Region const& region, std::size_t width, ElementRun run,
                std::function<void(ElementRun)> const& visit);

/// Calls visit for each rectangle of the matrix that `region` and `run` have in common, in order:
/// at most three, since a run may begin and end within a row.
void visit_rectangles(model::Region const& region, std::size_t width, ElementRun run,
                      std::function<void(model::Region const&)> const& visit);

}  // namespace tesserank::io
