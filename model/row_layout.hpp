#pragma once

#include "parallel/collective.hpp"
#include "parallel/layout.hpp"
#include "parallel/partition.hpp"

#include <cstddef>
#include <span>

namespace tesserank::model {

/// The part of a range that lies in another one.
parallel::Range within(parallel::Range part, parallel::Range whole);

/// A plan's layout for rows that are dealt out in this way. Not for HiddenSharded: only modules cut
/// columns.
parallel::Layout layout_for(parallel::LayoutKind kind, parallel::Partition const& deal);

/// The same layout for other rows.
parallel::Layout layout_for(parallel::Layout const& layout, parallel::Partition const& deal);

/// Which of so many rows a rank has in a layout that is not cut by columns, where they lie one
/// behind the other.
parallel::Range rows_in(parallel::Layout const& layout, std::size_t rows, int rank);

/// How many of these rows, which rise, lie in each part of the deal.
parallel::Partition deal_of(std::span<std::size_t const> rows, parallel::Partition const& deal);

/// Rows [first, first + count) of an activation that is not cut by columns.
parallel::AnyActivation rows_of(parallel::AnyActivation const& x, parallel::Range rows, int rank);

}  // namespace tesserank::model
