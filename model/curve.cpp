#include "model/curve.hpp"

#include "kernels/error.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace tesserank::model {
namespace {

using Point = Curve::Point;

/// Neighbouring points that share one value.
struct Block {
    std::vector<double> xs;
    double mean = 0;
};

double geometric_mean(Block const& a, Block const& b) {
    auto const n = static_cast<double>(a.xs.size()), m = static_cast<double>(b.xs.size());
    return std::exp((n * std::log(a.mean) + m * std::log(b.mean)) / (n + m));
}

/// Appends a block, then joins blocks from the end while they fall.
void append(std::vector<Block>& blocks, Block block) {
    while (!blocks.empty() &&
           (blocks.back().mean > block.mean || blocks.back().xs.back() == block.xs.front())) {
        auto& last = blocks.back();
        block.mean = geometric_mean(last, block);
        last.xs.insert(last.xs.end(), block.xs.begin(), block.xs.end());
        block.xs = std::move(last.xs);
        blocks.pop_back();
    }
    blocks.push_back(std::move(block));
}

}  // namespace

Curve::Curve(std::vector<Point> points, Start start) : start_{start} {
    kernels::require(!points.empty(), "a curve without points");
    std::ranges::sort(points, {}, [](Point const& point) { return std::pair(point.x, point.y); });
    std::vector<Block> blocks;
    for (auto const& point : points) {
        kernels::require(point.x > 0 && point.y > 0, "a curve's point is not positive");
        append(blocks, {{point.x}, point.y});
    }
    for (auto const& block : blocks) {
        for (double const x : block.xs) {
            if (points_.empty() || points_.back().x < x) points_.push_back({x, block.mean});
        }
    }
}

double Curve::at(double x) const {
    auto const next = std::ranges::lower_bound(points_, x, {}, &Point::x);
    if (next == points_.end()) return points_.back().y * (x / points_.back().x);
    if (next->x == x) return next->y;
    if (next == points_.begin()) {
        return start_ == Start::constant ? next->y : next->y * (x / next->x);
    }
    auto const& last = *std::prev(next);
    double const share = std::log(x / last.x) / std::log(next->x / last.x);
    return last.y * std::pow(next->y / last.y, share);
}

}  // namespace tesserank::model
