#include "model/vocabulary.hpp"

#include "model/linear.hpp"

namespace tesserank::model {

using parallel::Activation;
using parallel::AnyActivation;
using parallel::HiddenSharded;
using parallel::Partial;
using parallel::Replicated;

Embedding::Embedding(kernels::ConstTensorView table, parallel::Range rows, Placement placement)
    : table_{table}, rows_{rows}, placement_{placement} {}

AnyActivation Embedding::forward(kernels::Backend& backend, std::span<std::int32_t const> ids,
                                 kernels::TensorView y) const {
    backend.embed(ids, table_, static_cast<std::int32_t>(rows_.begin), y);
    if (placement_ == Placement::shard) return Activation<Partial>{y, {}};
    return Activation<Replicated>{y, {}};
}

LmHead::LmHead(kernels::ConstTensorView table, parallel::Partition cut, Placement placement)
    : table_{table}, cut_{cut}, placement_{placement} {}

AnyActivation LmHead::forward(kernels::Backend& backend, Activation<Replicated> x,
                              kernels::TensorView y) const {
    if (placement_ == Placement::shard) {
        backend.gemm(x.local, table_, {}, y);
        return Activation<HiddenSharded>{y, {cut_}};
    }
    return Linear<Replicated, Replicated>{table_, {}}(backend, x, y);
}

}  // namespace tesserank::model
