#include "io/model_file/region.hpp"

#include <algorithm>

namespace tesserank::io {
namespace {

using model::Region;
using parallel::Range;

/// How many of the region's elements come before `element`.
std::size_t elements_before(Region const& region, std::size_t width, std::size_t element) {
    auto const row = element / width;
    if (row < region.rows.begin) return 0;
    if (row >= region.rows.end()) return region.rows.count * region.cols.count;
    auto const col = std::clamp(element % width, region.cols.begin, region.cols.end());
    return (row - region.rows.begin) * region.cols.count + (col - region.cols.begin);
}

ElementRun overlap(ElementRun a, ElementRun b) {
    auto const first = std::max(a.first, b.first);
    auto const end = std::min(a.first + a.count, b.first + b.count);
    return {first, end > first ? end - first : 0};
}

Range overlap(Range a, Range b) {
    auto const begin = std::max(a.begin, b.begin);
    auto const end = std::min(a.end(), b.end());
    return {begin, end > begin ? end - begin : 0};
}

}  // namespace

std::size_t elements_within(Region const& region, std::size_t width, ElementRun run) {
    if (width == 0) return 0;
    return elements_before(region, width, run.first + run.count) -
           elements_before(region, width, run.first);
}

void visit_runs(Region const& region, std::size_t width, ElementRun run,
                std::function<void(ElementRun)> const& visit) {
    auto const visit_overlap = [&](ElementRun part) {
        auto const common = overlap(part, run);
        if (common.count > 0) visit(common);
    };
    if (width == 0 || run.count == 0) return;
    if (region.cols.count == width) {
        return visit_overlap({region.rows.begin * width, region.rows.count * width});
    }
    auto const first_row = std::max(region.rows.begin, run.first / width);
    auto const last_row = std::min(region.rows.end(), (run.first + run.count - 1) / width + 1);
    for (auto row = first_row; row < last_row; ++row) {
        visit_overlap({row * width + region.cols.begin, region.cols.count});
    }
}

void visit_rectangles(Region const& region, std::size_t width, ElementRun run,
                      std::function<void(Region const&)> const& visit) {
    auto const visit_overlap = [&](Range rows, Range cols) {
        Region const common{overlap(rows, region.rows), overlap(cols, region.cols)};
        if (common.rows.count > 0 && common.cols.count > 0) visit(common);
    };
    if (width == 0) return;
    auto const end = run.first + run.count;
    auto const first = run.first / width, last = end / width;
    auto const before = run.first % width, behind = end % width;
    if (first == last) return visit_overlap({first, 1}, {before, run.count});
    auto const whole = before > 0 ? first + 1 : first;
    if (before > 0) visit_overlap({first, 1}, {before, width - before});
    visit_overlap({whole, last - whole}, {0, width});
    visit_overlap({last, 1}, {0, behind});
}

}  // namespace tesserank::io
