#include "model/residual_stream.hpp"

#include <utility>

namespace tesserank::model {

using kernels::TensorView;

void ResidualStream::start(parallel::AnyActivation const& embedded,
                           parallel::Layout const& layout) {
    redistribute_(embedded, layout, {.whole = whole_});
    layout_ = layout;
}

void ResidualStream::move_to(parallel::Layout const& layout) {
    if (parallel::same_kind(layout_, layout)) return;
    local();
    redistribute_(parallel::part_of(whole_, layout_, rank_), layout, {.whole = whole_});
    layout_ = layout;
}

parallel::AnyActivation ResidualStream::normed(kernels::ConstTensorView weight, float eps,
                                               TensorView place) {
    auto const stream = part();
    auto result = parallel::part_of(place, layout_, rank_);
    if (auto const pending = std::exchange(pending_, std::nullopt)) {
        backend_.add_rms_norm(stream, *pending, weight, eps, parallel::local_of(result));
    } else {
        backend_.rms_norm(stream, weight, eps, parallel::local_of(result));
    }
    return result;
}

void ResidualStream::add(parallel::AnyActivation const& delta) {
    pending_ = parallel::local_of(delta);
}

TensorView ResidualStream::local() {
    auto const stream = part();
    if (auto const pending = std::exchange(pending_, std::nullopt)) backend_.add(stream, *pending);
    return stream;
}

}  // namespace tesserank::model
