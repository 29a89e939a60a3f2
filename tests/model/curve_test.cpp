#include "model/curve.hpp"

#include "kernels/error.hpp"

#include <gtest/gtest.h>

namespace tesserank::model {
namespace {

using Start = Curve::Start;

TEST(Curve, GoesThroughItsPoints) {
    Curve const curve({{8, 5}, {1, 2}, {100, 70}}, Start::constant);
    EXPECT_EQ(curve.at(1), 2);
    EXPECT_EQ(curve.at(8), 5);
    EXPECT_EQ(curve.at(100), 70);
}

TEST(Curve, IsStraightBetweenThemOnLogarithmicAxes) {
    Curve const curve({{1, 2}, {100, 200}}, Start::constant);
    EXPECT_NEAR(curve.at(10), 20, 1e-9);
    EXPECT_NEAR(curve.at(25), 50, 1e-9);
}

TEST(Curve, GrowsInProportionBeyondTheLastPoint) {
    Curve const curve({{4, 3}, {8, 4}}, Start::constant);
    EXPECT_DOUBLE_EQ(curve.at(80), 40);
}

TEST(Curve, StartsFlatOrFromNothing) {
    EXPECT_EQ(Curve({{4, 3}, {8, 4}}, Start::constant).at(1), 3);
    EXPECT_DOUBLE_EQ(Curve({{4, 3}, {8, 4}}, Start::proportional).at(1), 0.75);
}

TEST(Curve, JoinsPointsThatFallToTheirGeometricMean) {
    Curve const curve({{1, 1}, {2, 8}, {3, 2}, {4, 10}}, Start::constant);
    EXPECT_EQ(curve.at(1), 1);
    EXPECT_NEAR(curve.at(2), 4, 1e-12);
    EXPECT_NEAR(curve.at(2.5), 4, 1e-12);
    EXPECT_NEAR(curve.at(3), 4, 1e-12);
    EXPECT_EQ(curve.at(4), 10);
}

TEST(Curve, JoinsAsManyPointsAsItTakes) {
    Curve const curve({{1, 8}, {2, 4}, {3, 2}}, Start::constant);
    EXPECT_NEAR(curve.at(1), 4, 1e-12);
    EXPECT_NEAR(curve.at(3), 4, 1e-12);
}

TEST(Curve, JoinsPointsOfTheSamePlace) {
    Curve const curve({{2, 2}, {2, 8}, {4, 16}}, Start::constant);
    EXPECT_NEAR(curve.at(2), 4, 1e-12);
    EXPECT_EQ(curve.at(4), 16);
}

TEST(Curve, NeverFalls) {
    Curve const curve({{1, 3}, {2, 2}, {5, 9}, {6, 1}, {40, 30}, {41, 29}}, Start::proportional);
    double last = 0;
    for (double x = 0.1; x < 200; x *= 1.01) {
        EXPECT_GE(curve.at(x), last * (1 - 1e-12)) << x;
        last = curve.at(x);
    }
}

TEST(Curve, NeedsPositivePoints) {
    EXPECT_THROW(Curve({}, Start::constant), kernels::LogicError);
    EXPECT_THROW(Curve({{1, 0}}, Start::constant), kernels::LogicError);
    EXPECT_THROW(Curve({{0, 1}}, Start::constant), kernels::LogicError);
}

}  // namespace
}  // namespace tesserank::model
