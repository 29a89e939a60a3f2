#include "model/vocabulary.hpp"

#include "kernels/error.hpp"

namespace tesserank::model {

using kernels::TensorView;
using parallel::Activation;
using parallel::AnyActivation;

parallel::AnyActivation Embedding::forward(kernels::Backend& backend,
                                           kernels::DeviceSpan<std::int32_t const> ids,
                                           parallel::Layout const& layout, int rank,
                                           TensorView y) const {
    auto result = parallel::part_of(y, layout, rank);
    auto const& local = parallel::local_of(result);
    if (local.rows == 0) return result;
    auto const first = static_cast<std::size_t>(local.data - y.data) / (y.cols * sizeof(float));
    backend.embed(ids.from(first, local.rows), table_, static_cast<std::int32_t>(first_), local);
    return result;
}

AnyActivation LmHead::forward(kernels::Backend& backend, AnyActivation const& x,
                              TensorView y) const {
    auto const& input = parallel::local_of(x);
    if (input.rows > 0) backend.gemm(input, table_, {}, y);
    if (placement_.kind == Placement::Kind::shard) {
        kernels::require(std::holds_alternative<Activation<parallel::Replicated>>(x),
                         "a sharded lm_head takes replicated input");
        return Activation<parallel::HiddenSharded>{y, {cut_}};
    }
    return std::visit(
        [&]<class L>(Activation<L> const& known) -> AnyActivation {
            return Activation<L>{y, known.layout};
        },
        x);
}

}  // namespace tesserank::model
