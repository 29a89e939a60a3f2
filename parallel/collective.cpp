#include "parallel/collective.hpp"

#include "kernels/error.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

namespace tesserank::parallel {
namespace {

using Kind = LayoutKind::Kind;

Collective to_replicated(Kind from) {
    switch (from) {
        case Kind::partial:
            return Collective::all_reduce;
        case Kind::on_rank:
            return Collective::broadcast;
        case Kind::replicated:
            return Collective::none;
        case Kind::hidden_sharded:
        case Kind::batch_sharded:
            break;
    }
    return Collective::all_gather;
}

Collective to_rank(LayoutKind from, int rank) {
    switch (from.kind) {
        case Kind::partial:
            return Collective::reduce;
        case Kind::on_rank:
            return from.rank == rank ? Collective::none : Collective::transfer;
        case Kind::replicated:
            return Collective::none;
        case Kind::hidden_sharded:
        case Kind::batch_sharded:
            break;
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

std::optional<Collective> collective_from_name(std::string_view name) {
    auto const* const found = std::ranges::find_if(
        all_collectives, [&](Collective kind) { return name_of(kind) == name; });
    return found == all_collectives.end() ? std::nullopt : std::optional(*found);
}

std::optional<int> rank_from_text(std::string_view text) {
    int rank = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), rank);
    bool const whole = error == std::errc{} && end == text.data() + text.size();
    return whole && rank >= 0 ? std::optional(rank) : std::nullopt;
}

std::string name_of(LayoutKind layout) {
    switch (layout.kind) {
        case LayoutKind::Kind::replicated:
            return "Replicated";
        case LayoutKind::Kind::partial:
            return "Partial";
        case LayoutKind::Kind::hidden_sharded:
            return "HiddenSharded";
        case LayoutKind::Kind::batch_sharded:
            return "BatchSharded";
        case LayoutKind::Kind::on_rank:
            break;
    }
    return "OnRank(" + std::to_string(layout.rank) + ")";
}

std::optional<LayoutKind> row_layout_from_name(std::string_view name) {
    for (auto const kind : {LayoutKind::Kind::replicated, LayoutKind::Kind::batch_sharded}) {
        if (name == name_of(LayoutKind{kind})) return LayoutKind{kind};
    }
    constexpr std::string_view prefix = "OnRank(";
    if (!name.starts_with(prefix) || !name.ends_with(')')) return std::nullopt;
    name.remove_prefix(prefix.size());
    name.remove_suffix(1);
    auto const rank = rank_from_text(name);
    return rank ? std::optional(LayoutKind::on_rank(*rank)) : std::nullopt;
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
    if (to.kind == Kind::batch_sharded && from.kind == Kind::hidden_sharded)
        return Collective::all_gather;
    throw kernels::LogicError("no redistribution joins these two layouts");
}

}  // namespace tesserank::parallel
