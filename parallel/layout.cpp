#include "parallel/layout.hpp"

#include <array>

namespace tesserank::parallel {
namespace {

using kernels::TensorView;

TensorView part(TensorView const& whole, Replicated, int) { return whole; }
TensorView part(TensorView const& whole, Partial, int) { return whole; }
TensorView part(TensorView const& whole, HiddenSharded const& layout, int rank) {
    Range const own = layout.cut.of(rank);
    return whole.cols_from(own.begin, own.count);
}
TensorView part(TensorView const& whole, BatchSharded const& layout, int rank) {
    Range const own = layout.cut.of(rank);
    return whole.rows_from(own.begin, own.count);
}
TensorView part(TensorView const& whole, OnRank const& layout, int rank) {
    return whole.rows_from(0, rank == layout.rank ? whole.rows : 0);
}

}  // namespace

std::string_view name_of(Layout const& layout) {
    static constexpr std::array<std::string_view, std::variant_size_v<Layout>> names{
        "Replicated", "Partial", "HiddenSharded", "BatchSharded", "OnRank"};
    return names.at(layout.index());
}

Layout layout_of(AnyActivation const& activation) {
    return std::visit([](auto const& known) -> Layout { return known.layout; }, activation);
}

bool same_kind(Layout const& a, Layout const& b) {
    auto const *left = std::get_if<OnRank>(&a), *right = std::get_if<OnRank>(&b);
    if (left != nullptr && right != nullptr) return left->rank == right->rank;
    return a.index() == b.index();
}

AnyActivation part_of(TensorView const& whole, Layout const& layout, int rank) {
    return std::visit(
        [&]<class L>(L const& known) -> AnyActivation {
            return Activation<L>{part(whole, known, rank), known};
        },
        layout);
}

kernels::TensorView const& local_of(AnyActivation const& activation) {
    return std::visit([](auto const& known) -> kernels::TensorView const& { return known.local; },
                      activation);
}

}  // namespace tesserank::parallel
