#include "model/residual_stream.hpp"

#include "kernels/trace.hpp"

#include <utility>
#include <variant>

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

template <class Rows>
void ResidualStream::norm_into(Norm const& norm, Rows const& y) {
    bool const fused = pending_ && pending_->scale.data == nullptr && norm.kind == Norm::Kind::rms;
    if (!fused) return norm(backend_, local(), y);
    add_and_norm(*std::exchange(pending_, std::nullopt), norm, y);
}

void ResidualStream::add_and_norm(Pending const& pending, Norm const& norm, TensorView const& y) {
    if (pending.sum_of == nullptr) {
        return backend_.add_rms_norm(part(), pending.delta, norm.weight, norm.eps, y);
    }
    kernels::TraceRange const range(pending.sum_of);
    redistribute_.add_rms_norm(part(), {pending.delta, {}}, norm.weight, norm.eps, y);
}

void ResidualStream::add_and_norm(Pending const& pending, Norm const& norm,
                                  kernels::QuantisedRows const& y) {
    backend_.add_rms_norm_quantised(part(), pending.delta, norm.weight, norm.eps, y);
}

void ResidualStream::sum_pending() {
    if (!pending_ || pending_->sum_of == nullptr) return;
    kernels::TraceRange const range(std::exchange(pending_->sum_of, nullptr));
    redistribute_(parallel::Activation<parallel::Partial>{pending_->delta, {}},
                  parallel::Replicated{}, {.whole = pending_->delta});
}

parallel::AnyActivation ResidualStream::normed(Norm const& norm, TensorView place) {
    auto result = parallel::part_of(place, layout_, rank_);
    norm_into(norm, parallel::local_of(result));
    return result;
}

parallel::AnyActivation ResidualStream::normed_quantised(Norm const& norm, TensorView place) {
    auto result = parallel::part_of(place, layout_, rank_);
    auto const y = kernels::quantised_in(parallel::local_of(result));
    // So many rows that their norm is quantised are too many for a sum within the kernel to pay.
    sum_pending();
    norm_into(norm, y);
    std::visit(
        [&](auto& known) {
            known.local = y.values;
            known.scales = y.scales;
        },
        result);
    return result;
}

void ResidualStream::add(parallel::AnyActivation const& delta, kernels::ConstTensorView scale) {
    pending_ = {parallel::local_of(delta), scale, nullptr};
}

TensorView ResidualStream::local() {
    auto const stream = part();
    sum_pending();
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
