#include "model/device_step.hpp"

#include "kernels/error.hpp"

#include <algorithm>

namespace tesserank::model {

using kernels::Segment;

std::size_t StepMemory::Size::bytes() const {
    std::size_t const lists = deals ? 2 : 1;
    return rows * (sizeof(std::int32_t) + head_dim * sizeof(float) + lists * sizeof(Segment));
}

StepMemory::StepMemory(kernels::Backend& backend, Size size)
    : backend_{backend},
      size_{size},
      ids_{backend.allocate(size.rows * sizeof(std::int32_t))},
      all_{backend.allocate(size.rows * sizeof(Segment))},
      own_{backend.allocate(size.deals ? size.rows * sizeof(Segment) : 0)},
      cos_sin_{make_tensor(backend, kernels::DType::f32, size.rows, size.head_dim)} {}

DeviceStep StepMemory::upload(Step const& step, int owner) {
    std::size_t const rows = step.ids.size();
    kernels::require(rows <= size_.rows, "a step has more rows than there is memory for");
    auto const cos_sin = cos_sin_.view.rows_from(0, rows);
    backend_.copy_from_host(std::as_bytes(std::span(step.ids)), ids_.get());
    backend_.copy_from_host(std::as_bytes(std::span(step.cos_sin)), cos_sin.data);
    auto const all = upload(step.segments, all_);
    auto const own = size_.deals ? upload(step.dealt[static_cast<std::size_t>(owner)], own_) : all;
    return {.phase = step.phase,
            .ids = {reinterpret_cast<std::int32_t const*>(ids_.get()), rows},
            .all = all,
            .own = own,
            .cos_sin = cos_sin,
            .deal = step.rows_by_owner(),
            .features = step.features};
}

kernels::Segments StepMemory::upload(std::span<Segment const> list, kernels::Buffer const& place) {
    backend_.copy_from_host(std::as_bytes(list), place.get());
    kernels::Segments segments{
        .list = {reinterpret_cast<Segment const*>(place.get()), list.size()}};
    for (auto const& segment : list) {
        segments.longest = std::max(segments.longest, segment.tokens);
        segments.context = std::max(segments.context, segment.first_position + segment.tokens);
    }
    return segments;
}

}  // namespace tesserank::model
