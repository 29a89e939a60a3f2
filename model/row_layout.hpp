#pragma once

#include "parallel/collective.hpp"
#include "parallel/layout.hpp"
#include "parallel/partition.hpp"

#include <cstddef>
#include <span>

namespace tesserank::model {

/// A plan's layout for rows that are dealt out in this way. Not for HiddenSharded: only modules cut
/// columns.
parallel::Layout layout_for(parallel::LayoutKind kind, parallel::Partition const& deal);

/// The same layout for other rows.
parallel::Layout layout_for(parallel::Layout const& layout, parallel::Partition const& deal);

/// How many of these rows, which rise, lie in each part of the deal.
parallel::Partition deal_of(std::span<std::size_t const> rows, parallel::Partition const& deal);

/// Rows [first, first + count) of an activation that is not cut by columns.
parallel::AnyActivation rows_of(parallel::AnyActivation const& x, parallel::Range rows, int rank);

}  // namespace tesserank::model
