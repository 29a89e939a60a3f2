#pragma once

#include <cstdint>
#include <vector>

namespace tesserank::model {

/// A rising function through measured points, straight between them on logarithmic axes. Where
/// measured values fall although they should not, noise is at work: the points in question are
/// joined to their geometric mean (isotonic regression). Beyond the last point the value grows in
/// proportion.
class Curve {
  public:
    struct Point {
        double x = 0, y = 0;
    };
    /// What holds left of the first point: a fixed cost, or growth in proportion from nothing.
    enum class Start : std::uint8_t { constant, proportional };

    /// Points in any order, at least one; x and y positive.
    Curve(std::vector<Point> points, Start start);

    /// x positive.
    double at(double x) const;

  private:
    std::vector<Point> points_;  ///< x rises, y does not fall
    Start start_;
};

}  // namespace tesserank::model
