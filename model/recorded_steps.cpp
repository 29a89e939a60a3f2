#include "model/recorded_steps.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::model {

kernels::Recording* RecordedSteps::find(ResidentStep const& step) {
    auto const found = std::ranges::find(entries_, step, &Entry::step);
    if (found == entries_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found);
    return entries_.front().recording.get();
}

kernels::Recording& RecordedSteps::add(ResidentStep step,
                                       std::unique_ptr<kernels::Recording> recording) {
    if (entries_.size() == most) entries_.pop_back();
    entries_.push_front({std::move(step), std::move(recording)});
    return *entries_.front().recording;
}

}  // namespace tesserank::model
