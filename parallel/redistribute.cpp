#include "parallel/redistribute.hpp"

#include "kernels/error.hpp"

#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace tesserank::parallel {
namespace {

using kernels::DType;
using kernels::require;
using kernels::TensorView;

std::span<std::byte> bytes_of(TensorView const& tensor) { return {tensor.data, tensor.bytes()}; }

std::vector<std::size_t> in_bytes(std::span<std::size_t const> elements, DType dtype) {
    std::vector<std::size_t> bytes(elements.begin(), elements.end());
    for (auto& size : bytes) size *= kernels::size_of(dtype);
    return bytes;
}

void require_fit(Partition const& cut, Communicator const& ranks) {
    require(cut.ranks() == ranks.size(), "the cut is over another number of ranks");
}

}  // namespace

Redistributor::Redistributor(kernels::Backend& backend, Communicator& ranks)
    : backend_{backend}, ranks_{ranks} {}

AnyActivation Redistributor::operator()(AnyActivation const& from, Layout const& to) {
    return std::visit([this](auto const& known,
                             auto const& target) -> AnyActivation { return turn(known, target); },
                      from, to);
}

Activation<Replicated> Redistributor::to_replicated(AnyActivation const& from) {
    return std::get<Activation<Replicated>>((*this)(from, Replicated{}));
}

Activation<Replicated> Redistributor::turn(Activation<Partial> const& from, Replicated to) {
    TensorView const whole = contiguous(from.local);
    backend_.synchronize();
    ranks_.all_reduce(bytes_of(whole), whole.dtype);
    return {whole, to};
}

Activation<BatchSharded> Redistributor::turn(Activation<Partial> const& from,
                                             BatchSharded const& to) {
    require_fit(to.cut, ranks_);
    require(to.cut.units() == from.local.rows, "the cut does not have the activation's rows");
    keep_alive(from.local);
    TensorView source = from.local;
    if (!source.contiguous()) {
        source = tensor_in(staging_, source.dtype, source.rows, source.cols);
        backend_.copy(from.local, source);
    }
    TensorView const mine =
        tensor_in(result_, source.dtype, to.cut.count(ranks_.rank()), source.cols);
    backend_.synchronize();
    ranks_.reduce_scatter(bytes_of(source), source.dtype, to.cut.counts(source.cols),
                          bytes_of(mine));
    return {mine, to};
}

Activation<Replicated> Redistributor::turn(Activation<BatchSharded> const& from, Replicated to) {
    Partition const& cut = from.layout.cut;
    TensorView const& mine = from.local;
    Range const own = cut.of(ranks_.rank());
    require_fit(cut, ranks_);
    require(mine.rows == own.count, "the activation does not have the rows of its cut");
    keep_alive(mine);
    TensorView const whole = tensor_in(result_, mine.dtype, cut.units(), mine.cols);
    gather(mine, whole.rows_from(own.begin, own.count), cut.counts(mine.cols), whole);
    return {whole, to};
}

Activation<Replicated> Redistributor::turn(Activation<HiddenSharded> const& from, Replicated to) {
    Partition const& cut = from.layout.cut;
    TensorView const& mine = from.local;
    Range const own = cut.of(ranks_.rank());
    require_fit(cut, ranks_);
    require(mine.cols == own.count, "the activation does not have the columns of its cut");
    keep_alive(mine);
    std::size_t const rows = mine.rows;
    TensorView const whole = tensor_in(result_, mine.dtype, rows, cut.units());
    // One row's pieces follow each other as they should: decode of one sequence needs no unpacking.
    bool const in_order = rows <= 1;
    TensorView const packed =
        in_order ? whole : tensor_in(staging_, mine.dtype, 1, rows * cut.units());
    auto const piece = [&](Range range) {
        TensorView place = packed.cols_from(rows * range.begin, rows * range.count);
        place.rows = rows;
        place.cols = place.stride = range.count;
        return place;
    };
    gather(mine, piece(own), cut.counts(rows), packed);
    for (int rank = 0; !in_order && rank < cut.ranks(); ++rank) {
        Range const range = cut.of(rank);
        backend_.copy(piece(range), whole.cols_from(range.begin, range.count));
    }
    return {whole, to};
}

Activation<BatchSharded> Redistributor::turn(Activation<Replicated> const& from,
                                             BatchSharded const& to) {
    require_fit(to.cut, ranks_);
    require(to.cut.units() == from.local.rows, "the cut does not have the activation's rows");
    Range const own = to.cut.of(ranks_.rank());
    return {from.local.rows_from(own.begin, own.count), to};
}

Activation<HiddenSharded> Redistributor::turn(Activation<Replicated> const& from,
                                              HiddenSharded const& to) {
    require_fit(to.cut, ranks_);
    require(to.cut.units() == from.local.cols, "the cut does not have the activation's columns");
    Range const own = to.cut.of(ranks_.rank());
    return {from.local.cols_from(own.begin, own.count), to};
}

template <class L>
Activation<L> Redistributor::turn(Activation<L> const& from, L const& to) {
    if constexpr (requires { to.cut; }) {
        require(from.layout.cut == to.cut, "no redistribution between two cuts of the same layout");
    }
    return from;
}

template <class From, class To>
AnyActivation Redistributor::turn(Activation<From> const& from, To const& to) {
    throw kernels::LogicError("no redistribution from " + std::string(name_of(from.layout)) +
                              " to " + std::string(name_of(to)));
}

// The input may be the last result, whose memory is about to be written: that becomes previous_.
void Redistributor::keep_alive(TensorView const& input) {
    std::less<> const before;
    std::byte const* const begin = result_.memory.get();
    bool const inside =
        begin != nullptr && !before(input.data, begin) && before(input.data, begin + result_.bytes);
    if (inside) std::swap(result_, previous_);
}

TensorView Redistributor::contiguous(TensorView const& view) {
    if (view.contiguous()) return view;
    keep_alive(view);
    TensorView const copy = tensor_in(result_, view.dtype, view.rows, view.cols);
    backend_.copy(view, copy);
    return copy;
}

TensorView Redistributor::tensor_in(Scratch& scratch, DType dtype, std::size_t rows,
                                    std::size_t cols) {
    std::size_t const bytes = rows * cols * kernels::size_of(dtype);
    if (bytes > scratch.bytes) {
        backend_.synchronize();
        scratch = {};
        scratch = {backend_.allocate(bytes), bytes};
    }
    return {{scratch.memory.get(), dtype, rows, cols, cols}};
}

void Redistributor::gather(TensorView const& mine, TensorView const& own_place,
                           std::span<std::size_t const> elements, TensorView const& all) {
    TensorView const source = mine.contiguous() ? mine : own_place;
    if (!mine.contiguous()) backend_.copy(mine, own_place);
    backend_.synchronize();
    ranks_.all_gather(bytes_of(source), in_bytes(elements, mine.dtype), bytes_of(all));
}

}  // namespace tesserank::parallel
