#include "model/row_layout.hpp"

#include "kernels/error.hpp"

#include <algorithm>
#include <vector>

namespace tesserank::model {
namespace {

using parallel::Activation;
using parallel::AnyActivation;
using parallel::BatchSharded;
using parallel::Layout;
using parallel::LayoutKind;
using parallel::OnRank;
using parallel::Partition;
using parallel::Range;
using parallel::Replicated;

struct RowsOf {
    Range rows;
    int rank;

    AnyActivation operator()(Activation<BatchSharded> const& x) const {
        std::vector<std::size_t> shares;
        shares.reserve(static_cast<std::size_t>(x.layout.cut.ranks()));
        for (int r = 0; r < x.layout.cut.ranks(); ++r) {
            shares.push_back(within(x.layout.cut.of(r), rows).count);
        }
        auto const own = x.layout.cut.of(rank), wanted = within(own, rows);
        std::size_t const first = wanted.count == 0 ? 0 : wanted.begin - own.begin;
        return Activation<BatchSharded>{x.local.rows_from(first, wanted.count),
                                        {Partition::of_shares(shares)}};
    }
    AnyActivation operator()(Activation<OnRank> const& x) const {
        bool const here = x.layout.rank == rank;
        return Activation<OnRank>{here ? x.local.rows_from(rows.begin, rows.count) : x.local,
                                  {x.layout.rank, rows.count}};
    }
    AnyActivation operator()(Activation<Replicated> const& x) const {
        return Activation<Replicated>{x.local.rows_from(rows.begin, rows.count), {}};
    }
    AnyActivation operator()(auto const& /*other*/) const {
        throw kernels::LogicError("rows are taken of whole rows only");
    }
};

}  // namespace

Range within(Range part, Range whole) {
    std::size_t const begin = std::clamp(part.begin, whole.begin, whole.end());
    return {begin, std::clamp(part.end(), whole.begin, whole.end()) - begin};
}

Layout layout_for(LayoutKind kind, Partition const& deal) {
    switch (kind.kind) {
        case LayoutKind::Kind::replicated:
            return Replicated{};
        case LayoutKind::Kind::partial:
            return parallel::Partial{};
        case LayoutKind::Kind::batch_sharded:
            return BatchSharded{deal};
        case LayoutKind::Kind::on_rank:
            return OnRank{kind.rank, deal.units()};
        case LayoutKind::Kind::hidden_sharded:
            break;
    }
    throw kernels::LogicError("columns are cut by modules alone");
}

Layout layout_for(Layout const& layout, Partition const& deal) {
    if (std::holds_alternative<BatchSharded>(layout)) return BatchSharded{deal};
    if (auto const* single = std::get_if<OnRank>(&layout))
        return OnRank{single->rank, deal.units()};
    return layout;
}

Range rows_in(Layout const& layout, std::size_t rows, int rank) {
    if (auto const* dealt = std::get_if<BatchSharded>(&layout)) return dealt->cut.of(rank);
    auto const* const single = std::get_if<OnRank>(&layout);
    return {0, single != nullptr && single->rank != rank ? 0 : rows};
}

Partition deal_of(std::span<std::size_t const> rows, Partition const& deal) {
    std::vector<std::size_t> shares;
    for (int rank = 0; rank < deal.ranks(); ++rank) {
        auto const part = deal.of(rank);
        auto const begin = std::ranges::lower_bound(rows, part.begin);
        shares.push_back(
            static_cast<std::size_t>(std::ranges::lower_bound(rows, part.end()) - begin));
    }
    return Partition::of_shares(shares);
}

AnyActivation rows_of(AnyActivation const& x, Range rows, int rank) {
    return std::visit(RowsOf{rows, rank}, x);
}

}  // namespace tesserank::model
