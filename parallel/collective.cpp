#include "parallel/collective.hpp"

#include "kernels/error.hpp"

#include <array>

namespace tesserank::parallel {
namespace {

using Kind = LayoutKind::Kind;

Collective to_replicated(Kind from) {
    switch (from) {
        case Kind::partial: return Collective::all_reduce;
        case Kind::on_rank: return Collective::broadcast;
        case Kind::replicated: return Collective::none;
        case Kind::hidden_sharded:
        case Kind::batch_sharded: break;
    }
    return Collective::all_gather;
}

Collective to_rank(LayoutKind from, int rank) {
    switch (from.kind) {
        case Kind::partial: return Collective::reduce;
        case Kind::on_rank: return from.rank == rank ? Collective::none : Collective::transfer;
        case Kind::replicated: return Collective::none;
        case Kind::hidden_sharded:
        case Kind::batch_sharded: break;
    }
    return Collective::gather;
}

}  // namespace

std::string_view name_of(Collective kind) {
    static constexpr std::array<std::string_view, 9> names{
        "none",   "all-reduce", "reduce-scatter", "reduce",  "all-gather",
        "gather", "broadcast",  "scatter",        "transfer"};
    return names.at(static_cast<std::size_t>(kind));
}

Collective collective_of(LayoutKind from, LayoutKind to) {
    if (to.kind == Kind::replicated) return to_replicated(from.kind);
    if (to.kind == Kind::on_rank) return to_rank(from, to.rank);
    if (from == to || from.kind == Kind::replicated) {
        kernels::require(to.kind != Kind::partial || from == to, "nothing becomes a partial sum");
        return Collective::none;
    }
    if (to.kind == Kind::batch_sharded && from.kind == Kind::partial)
        return Collective::reduce_scatter;
    if (to.kind == Kind::batch_sharded && from.kind == Kind::on_rank) return Collective::scatter;
    throw kernels::LogicError("no redistribution joins these two layouts");
}

}  // namespace tesserank::parallel
