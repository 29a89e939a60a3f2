#include "parallel/redistribute.hpp"

#include "kernels/error.hpp"
#include "kernels/trace.hpp"

#include <array>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace tesserank::parallel {
namespace {

using kernels::require;
using kernels::TensorView;

std::vector<std::size_t> in_bytes(Partition const& cut, std::size_t elements_per_unit,
                                  kernels::DType dtype) {
    return cut.counts(elements_per_unit * kernels::size_of(dtype));
}

void require_fit(Partition const& cut, std::size_t units, Communicator const& ranks) {
    require(cut.ranks() == ranks.size(), "the cut is over another number of ranks");
    require(cut.units() == units, "the cut does not have the activation's units");
}

/// The part of the destination for an activation like `part` with so many rows.
TensorView room_for(TensorView const& part, std::size_t rows, TensorView const& whole) {
    require(whole.dtype == part.dtype && whole.cols == part.cols && whole.rows >= rows &&
                whole.contiguous(),
            "the destination does not fit the activation");
    return whole.rows_from(0, rows);
}

/// Piece `range` of packed columns: [rows, h], contiguous.
TensorView piece_of(TensorView const& packed, std::size_t rows, Range range) {
    std::size_t const size = kernels::size_of(packed.dtype);
    return {
        {packed.data + rows * range.begin * size, packed.dtype, rows, range.count, range.count}};
}

/// "Partial -> Replicated", for profilers and messages.
char const* name_of_turn(AnyActivation const& from, Layout const& to) {
    constexpr std::size_t kinds = std::variant_size_v<Layout>;
    using Names = std::array<std::array<std::string, kinds>, kinds>;
    static Names const names = [] {
        Names all;
        std::array<Layout, kinds> const layouts{Replicated{}, Partial{},
                                                HiddenSharded{Partition(0, 1)},
                                                BatchSharded{Partition(0, 1)}, OnRank{}};
        for (auto const& source : layouts) {
            for (auto const& target : layouts) {
                all[source.index()][target.index()] =
                    std::string(name_of(source)) + " -> " + std::string(name_of(target));
            }
        }
        return all;
    }();
    return names[from.index()][to.index()].c_str();
}

}  // namespace

AnyActivation Redistributor::operator()(AnyActivation const& from, Layout const& to,
                                        Destination const& place) {
    kernels::TraceRange const range(name_of_turn(from, to), kernels::TraceRange::Level::layout);
    return std::visit(
        [&](auto const& known, auto const& target) -> AnyActivation {
            require(known.scales.data == nullptr, "quantised rows do not go to other ranks");
            return turn(known, target, place);
        },
        from, to);
}

std::span<std::byte> Redistributor::ready(TensorView const& tensor) {
    require(tensor.contiguous(), "ranks exchange contiguous memory only");
    if (!ranks_.queued()) backend_.synchronize();
    return {tensor.data, tensor.bytes()};
}

Activation<OnRank> Redistributor::on_rank(TensorView const& whole, OnRank to) const {
    return {ranks_.rank() == to.rank ? whole : whole.rows_from(0, 0), {to.rank, whole.rows}};
}

Activation<Replicated> Redistributor::turn(Activation<Partial> const& from, Replicated to,
                                           Place /*place*/) {
    ranks_.all_reduce(ready(from.local), from.local.dtype);
    return {from.local, to};
}

Activation<BatchSharded> Redistributor::turn(Activation<Partial> const& from,
                                             BatchSharded const& to, Place place) {
    require_fit(to.cut, from.local.rows, ranks_);
    Range const own = to.cut.of(ranks_.rank());
    TensorView const mine =
        room_for(from.local, from.local.rows, place.whole).rows_from(own.begin, own.count);
    ranks_.reduce_scatter(ready(from.local), mine.dtype, to.cut.counts(mine.cols), ready(mine));
    return {mine, to};
}

Activation<OnRank> Redistributor::turn(Activation<Partial> const& from, OnRank to,
                                       Place /*place*/) {
    ranks_.reduce(ready(from.local), from.local.dtype, to.rank);
    return on_rank(from.local, to);
}

Activation<Replicated> Redistributor::turn(Activation<BatchSharded> const& from, Replicated to,
                                           Place place) {
    Partition const& cut = from.layout.cut;
    TensorView const& mine = from.local;
    require(mine.rows == cut.count(ranks_.rank()), "the activation does not have its cut's rows");
    TensorView const whole = room_for(mine, cut.units(), place.whole);
    ranks_.all_gather(ready(mine), in_bytes(cut, mine.cols, mine.dtype), ready(whole));
    return {whole, to};
}

Activation<OnRank> Redistributor::turn(Activation<BatchSharded> const& from, OnRank to,
                                       Place place) {
    Partition const& cut = from.layout.cut;
    TensorView const& mine = from.local;
    require(mine.rows == cut.count(ranks_.rank()), "the activation does not have its cut's rows");
    auto const bytes = in_bytes(cut, mine.cols, mine.dtype);
    if (ranks_.rank() != to.rank) {
        ranks_.gather(ready(mine), bytes, {}, to.rank);
        return {mine.rows_from(0, 0), {to.rank, cut.units()}};
    }
    TensorView const whole = room_for(mine, cut.units(), place.whole);
    ranks_.gather(ready(mine), bytes, ready(whole), to.rank);
    return {whole, {to.rank, cut.units()}};
}

Activation<Replicated> Redistributor::turn(Activation<HiddenSharded> const& from, Replicated to,
                                           Place place) {
    Partition const& cut = from.layout.cut;
    TensorView const& mine = from.local;
    require_fit(cut, place.whole.cols, ranks_);
    require(mine.cols == cut.count(ranks_.rank()),
            "the activation does not have its cut's columns");
    TensorView const whole = place.whole.rows_from(0, mine.rows);
    // One row's pieces follow each other as they should: decode of one sequence needs no unpacking.
    TensorView const packed = mine.rows <= 1 ? whole : place.pieces.rows_from(0, mine.rows);
    ranks_.all_gather(ready(mine), in_bytes(cut, mine.rows, mine.dtype), ready(packed));
    if (mine.rows > 1) join_columns(packed, cut, whole);
    return {whole, to};
}

Activation<BatchSharded> Redistributor::turn(Activation<HiddenSharded> const& from,
                                             BatchSharded const& to, Place place) {
    return turn(turn(from, Replicated{}, place), to, place);
}

Activation<OnRank> Redistributor::turn(Activation<HiddenSharded> const& from, OnRank to,
                                       Place place) {
    Partition const& cut = from.layout.cut;
    TensorView const& mine = from.local;
    bool const here = ranks_.rank() == to.rank;
    require(mine.cols == cut.count(ranks_.rank()),
            "the activation does not have its cut's columns");
    if (!here) {
        ranks_.gather(ready(mine), in_bytes(cut, mine.rows, mine.dtype), {}, to.rank);
        return {place.whole.rows_from(0, 0), {to.rank, mine.rows}};
    }
    require_fit(cut, place.whole.cols, ranks_);
    TensorView const whole = place.whole.rows_from(0, mine.rows);
    TensorView const packed = mine.rows <= 1 ? whole : place.pieces.rows_from(0, mine.rows);
    ranks_.gather(ready(mine), in_bytes(cut, mine.rows, mine.dtype), ready(packed), to.rank);
    if (mine.rows > 1) join_columns(packed, cut, whole);
    return {whole, {to.rank, mine.rows}};
}

Activation<Replicated> Redistributor::turn(Activation<OnRank> const& from, Replicated to,
                                           Place place) {
    TensorView const whole = room_for(from.local, from.layout.rows, place.whole);
    bool const here = ranks_.rank() == from.layout.rank;
    if (here && from.local.data != whole.data) backend_.copy(from.local, whole);
    ranks_.broadcast(ready(whole), from.layout.rank);
    return {whole, to};
}

Activation<BatchSharded> Redistributor::turn(Activation<OnRank> const& from, BatchSharded const& to,
                                             Place place) {
    require_fit(to.cut, from.layout.rows, ranks_);
    Range const own = to.cut.of(ranks_.rank());
    TensorView const mine =
        room_for(from.local, from.layout.rows, place.whole).rows_from(own.begin, own.count);
    ranks_.scatter(ready(from.local), in_bytes(to.cut, mine.cols, mine.dtype), ready(mine),
                   from.layout.rank);
    return {mine, to};
}

Activation<OnRank> Redistributor::turn(Activation<OnRank> const& from, OnRank to, Place place) {
    if (from.layout.rank == to.rank) return from;
    bool const receives = ranks_.rank() == to.rank;
    TensorView const data =
        receives ? room_for(from.local, from.layout.rows, place.whole) : from.local;
    ranks_.transfer(ready(data), from.layout.rank, to.rank);
    return {receives ? data : data.rows_from(0, 0), {to.rank, from.layout.rows}};
}

Activation<BatchSharded> Redistributor::turn(Activation<Replicated> const& from,
                                             BatchSharded const& to, Place /*place*/) {
    require_fit(to.cut, from.local.rows, ranks_);
    Range const own = to.cut.of(ranks_.rank());
    return {from.local.rows_from(own.begin, own.count), to};
}

Activation<HiddenSharded> Redistributor::turn(Activation<Replicated> const& from,
                                              HiddenSharded const& to, Place /*place*/) {
    require_fit(to.cut, from.local.cols, ranks_);
    Range const own = to.cut.of(ranks_.rank());
    return {from.local.cols_from(own.begin, own.count), to};
}

Activation<OnRank> Redistributor::turn(Activation<Replicated> const& from, OnRank to,
                                       Place /*place*/) {
    return on_rank(from.local, to);
}

template <class L>
Activation<L> Redistributor::turn(Activation<L> const& from, L const& to, Place /*place*/) {
    if constexpr (requires { to.cut; }) {
        require(from.layout.cut == to.cut, "no redistribution between two cuts of the same layout");
    }
    return from;
}

template <class From, class To>
AnyActivation Redistributor::turn(Activation<From> const& from, To const& to, Place /*place*/) {
    throw kernels::LogicError("no redistribution from " + std::string(name_of(from.layout)) +
                              " to " + std::string(name_of(to)));
}

void Redistributor::join_columns(TensorView const& packed, Partition const& cut,
                                 TensorView const& whole) {
    for (int rank = 0; rank < cut.ranks(); ++rank) {
        Range const range = cut.of(rank);
        backend_.copy(piece_of(packed, whole.rows, range),
                      whole.cols_from(range.begin, range.count));
    }
}

}  // namespace tesserank::parallel
