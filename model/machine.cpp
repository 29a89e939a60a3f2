#include "model/machine.hpp"

#include "kernels/error.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace tesserank::model {
namespace {

using kernels::DType;
using kernels::require;
using parallel::Collective;

double number(std::size_t count) { return static_cast<double>(count); }

Curve::Point point(std::size_t x, double seconds) { return {number(x), seconds}; }

/// How little a measured task says of another one; 0 when it says all.
int mismatch(DType measured, DType wanted) {
    if (measured == wanted) return 0;
    return kernels::size_of(measured) == kernels::size_of(wanted) ? 1 : 2;
}
int mismatch(Task<GemmWork> const& measured, Task<GemmWork> const& wanted) {
    return 9 * mismatch(measured.work.weight, wanted.work.weight) +
           3 * mismatch(measured.work.input, wanted.work.input) +
           (measured.busy == wanted.busy ? 0 : 1);
}
int mismatch(Task<AttentionWork> const& measured, Task<AttentionWork> const& wanted) {
    return (measured.work.phase == wanted.work.phase ? 0 : 9) +
           3 * mismatch(measured.work.cache, wanted.work.cache) +
           (measured.busy == wanted.busy ? 0 : 1);
}

/// How far apart two sizes are: 1 from one to its double.
double octaves(std::size_t a, std::size_t b) { return std::abs(std::log2(number(a) / number(b))); }
double distance(GemmWork const& a, GemmWork const& b) {
    return octaves(a.outputs, b.outputs) + octaves(a.inputs, b.inputs);
}
double distance(AttentionWork const& a, AttentionWork const& b) {
    return octaves(a.query_heads, b.query_heads) + octaves(a.kv_heads, b.kv_heads) +
           octaves(a.head_dim, b.head_dim);
}

/// What is multiplied for one row (and one position of its context).
double size_of(GemmWork const& work) { return number(work.outputs) * number(work.inputs); }
double size_of(AttentionWork const& work) {
    return number(work.query_heads) * number(work.head_dim);
}

/// Seconds of a task, from groups of measurements of one shape each: of that very shape, or the
/// geometric mean of all, scaled by size, with weights that fall with the fourth power of distance.
template <class Group, class Work, class Seconds>
double from_groups(std::vector<Group> const& groups, Task<Work> const& wanted,
                   Seconds const& seconds_of) {
    int best = std::numeric_limits<int>::max();
    for (auto const& group : groups) best = std::min(best, mismatch(group.task, wanted));
    double sum = 0, weights = 0;
    for (auto const& group : groups) {
        if (mismatch(group.task, wanted) != best) continue;
        double const apart = distance(group.task.work, wanted.work);
        if (apart == 0) return seconds_of(group);
        double const weight = 1 / std::pow(apart, 4);
        double const scale = size_of(wanted.work) / size_of(group.task.work);
        sum += weight * std::log(seconds_of(group) * scale);
        weights += weight;
    }
    return std::exp(sum / weights);
}

/// The points of each shape. `same` says whether two tasks are of one shape.
template <class Work, class Same>
std::vector<std::vector<Measured<Work>>> by_shape(std::vector<Measured<Work>> const& points,
                                                  Same const& same) {
    std::vector<std::vector<Measured<Work>>> groups;
    for (auto const& point : points) {
        auto const group = std::ranges::find_if(groups, [&](auto const& members) {
            return members.front().task.busy == point.task.busy &&
                   same(members.front().task.work, point.task.work);
        });
        if (group == groups.end()) {
            groups.push_back({point});
        } else {
            group->push_back(point);
        }
    }
    return groups;
}

bool same_matrix(GemmWork a, GemmWork const& b) {
    a.rows = b.rows;
    return a == b;
}
bool same_heads(AttentionWork a, AttentionWork const& b) {
    a.rows = b.rows;
    a.context = b.context;
    return a == b;
}

template <class Key>
std::map<Key, Curve> curves_of(std::map<Key, std::vector<Curve::Point>>&& points,
                               Curve::Start start) {
    std::map<Key, Curve> curves;
    for (auto& [key, list] : points) curves.emplace(key, Curve(std::move(list), start));
    return curves;
}

/// What takes longer than a larger message does was disturbed: other programs only ever add to a
/// time, and to that of a collective by far the most.
void lower_to_larger_ones(std::vector<Curve::Point>& points) {
    std::ranges::sort(points, {}, &Curve::Point::x);
    for (std::size_t i = points.size(); i-- > 1;) {
        points[i - 1].y = std::min(points[i - 1].y, points[i].y);
    }
}

}  // namespace

std::vector<std::string> missing_of(MachinePoints const& points) {
    std::vector<std::string> missing;
    if (points.gemms.empty()) missing.emplace_back("gemm");
    if (points.attentions.empty()) missing.emplace_back("attention");
    if (points.passes.empty()) missing.emplace_back("pass");
    for (auto const kind : parallel::all_collectives) {
        bool const measured = std::ranges::any_of(
            points.collectives, [&](auto const& point) { return point.task.work.kind == kind; });
        if (points.ranks > 1 && !measured) missing.emplace_back(name_of(kind));
    }
    return missing;
}

Machine::Machine(MachinePoints points) : points_{std::move(points)} {
    require(missing_of(points_).empty(), "a machine without some of its measurements");
    for (auto const& group : by_shape(points_.gemms, same_matrix)) {
        std::vector<Curve::Point> curve;
        curve.reserve(group.size());
        for (auto const& [task, seconds] : group) curve.push_back(point(task.work.rows, seconds));
        matrices_.push_back({group.front().task, Curve(std::move(curve), Curve::Start::constant)});
    }
    for (auto const& group : by_shape(points_.attentions, same_heads)) {
        std::map<std::size_t, std::vector<Curve::Point>> curves;
        for (auto const& [task, seconds] : group) {
            curves[task.work.rows].push_back(point(task.work.context, seconds));
        }
        heads_.push_back(
            {group.front().task, curves_of(std::move(curves), Curve::Start::proportional)});
    }
    std::map<Busy, std::vector<Curve::Point>> passes;
    for (auto const& [task, seconds] : points_.passes) {
        passes[task.busy].push_back(point(task.work.bytes, seconds));
    }
    passes_ = curves_of(std::move(passes), Curve::Start::constant);
    std::map<Collective, std::vector<Curve::Point>> collectives;
    for (auto const& [task, seconds] : points_.collectives) {
        collectives[task.work.kind].push_back(point(task.work.bytes, seconds));
    }
    for (auto& [kind, list] : collectives) lower_to_larger_ones(list);
    collectives_ = curves_of(std::move(collectives), Curve::Start::constant);
}

double Machine::Heads::at(std::size_t rows, std::size_t context) const {
    std::vector<Curve::Point> by_rows;
    by_rows.reserve(by_rows_and_context.size());
    for (auto const& [measured, by_context] : by_rows_and_context) {
        by_rows.push_back(point(measured, by_context.at(number(context))));
    }
    return Curve(std::move(by_rows), Curve::Start::proportional).at(number(rows));
}

double Machine::gemm_seconds(GemmWork const& work, Busy busy) const {
    if (work.rows == 0 || work.outputs == 0 || work.inputs == 0) return 0;
    if (work.weight == DType::f8e4m3) {
        auto wider = work;
        wider.weight = DType::bf16;
        auto read = wider;
        read.rows = 1;
        return gemm_seconds(wider, busy) - gemm_seconds(read, busy) / 2;
    }
    return from_groups(matrices_, Task<GemmWork>{work, busy},
                       [&](Matrix const& matrix) { return matrix.by_rows.at(number(work.rows)); });
}

double Machine::attention_seconds(AttentionWork const& work, Busy busy) const {
    if (work.rows == 0 || work.context == 0 || work.query_heads == 0 || work.head_dim == 0) {
        return 0;
    }
    require(work.kv_heads > 0, "query heads without kv heads");
    return from_groups(heads_, Task<AttentionWork>{work, busy},
                       [&](Heads const& heads) { return heads.at(work.rows, work.context); });
}

double Machine::pass_seconds(std::size_t bytes, Busy busy) const {
    if (bytes == 0) return 0;
    auto const found = passes_.find(busy);
    return (found == passes_.end() ? passes_.begin() : found)->second.at(number(bytes));
}

double Machine::collective_seconds(Collective kind, std::size_t bytes) const {
    if (kind == Collective::none || bytes == 0 || ranks() == 1) return 0;
    return collectives_.at(kind).at(number(bytes));
}

}  // namespace tesserank::model
