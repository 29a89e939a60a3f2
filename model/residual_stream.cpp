#include "model/residual_stream.hpp"

#include <utility>

namespace tesserank::model {

using kernels::TensorView;

void ResidualStream::start(parallel::AnyActivation const& embedded, parallel::Layout const& layout,
                           TensorView pieces) {
    redistribute_(embedded, layout, {.whole = whole_, .pieces = pieces});
    layout_ = layout;
}

void ResidualStream::move_to(parallel::Layout const& layout) {
    if (parallel::same_kind(layout_, layout)) return;
    local();
    redistribute_(parallel::part_of(whole_, layout_, rank_), layout, {.whole = whole_});
    layout_ = layout;
}

parallel::AnyActivation ResidualStream::normed(Norm const& norm, TensorView place) {
    auto result = parallel::part_of(place, layout_, rank_);
    auto const& y = parallel::local_of(result);
    bool const fused = pending_ && pending_->scale.data == nullptr && norm.kind == Norm::Kind::rms;
    if (fused) {
        auto const delta = std::exchange(pending_, std::nullopt)->delta;
        backend_.add_rms_norm(part(), delta, norm.weight, norm.eps, y);
    } else {
        norm(backend_, local(), y);
    }
    return result;
}

void ResidualStream::add(parallel::AnyActivation const& delta, kernels::ConstTensorView scale) {
    pending_ = {parallel::local_of(delta), scale};
}

TensorView ResidualStream::local() {
    auto const stream = part();
    if (auto const pending = std::exchange(pending_, std::nullopt)) {
        if (pending->scale.data == nullptr) {
            backend_.add(stream, pending->delta);
        } else {
            backend_.add_scaled(stream, pending->delta, pending->scale);
        }
    }
    return stream;
}

}  // namespace tesserank::model
