#include "io/model_file/region.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace tesserank::io {
namespace {

using model::Region;

/// The region's elements within the run, one by one.
std::vector<std::size_t> elements(Region const& region, std::size_t width, ElementRun run) {
    std::vector<std::size_t> result;
    for (auto element = run.first; element < run.first + run.count; ++element) {
        auto const row = element / width;
        auto const col = element % width;
        if (row >= region.rows.begin && row < region.rows.end() && col >= region.cols.begin &&
            col < region.cols.end()) {
            result.push_back(element);
        }
    }
    return result;
}

/// Every region of a 4 x 3 matrix and every run of its elements.
template <class Check>
void for_all_small_cases(Check const& check) {
    constexpr std::size_t rows = 4;
    constexpr std::size_t width = 3;
    for (std::size_t r = 0; r <= rows; ++r)
        for (std::size_t h = 0; r + h <= rows; ++h)
            for (std::size_t c = 0; c <= width; ++c)
                for (std::size_t w = 0; c + w <= width; ++w)
                    for (std::size_t first = 0; first <= rows * width; ++first)
                        for (std::size_t n = 0; first + n <= rows * width; ++n)
                            check(Region{{r, h}, {c, w}}, width, ElementRun{first, n});
}

TEST(Region, CountsWhatItVisits) {
    for_all_small_cases([](Region const& region, std::size_t width, ElementRun run) {
        auto const expected = elements(region, width, run);
        std::vector<std::size_t> visited;
        visit_runs(region, width, run, [&](ElementRun part) {
            EXPECT_GT(part.count, 0U);
            for (std::size_t i = 0; i < part.count; ++i) visited.push_back(part.first + i);
        });
        EXPECT_EQ(visited, expected);
        EXPECT_EQ(elements_within(region, width, run), expected.size());
    });
}

TEST(Region, RectanglesHoldTheSameElementsInTheSameOrder) {
    for_all_small_cases([](Region const& region, std::size_t width, ElementRun run) {
        std::vector<std::size_t> visited;
        std::size_t rectangles = 0;
        visit_rectangles(region, width, run, [&](Region const& part) {
            ++rectangles;
            for (auto row = part.rows.begin; row < part.rows.end(); ++row)
                for (auto col = part.cols.begin; col < part.cols.end(); ++col)
                    visited.push_back(row * width + col);
        });
        EXPECT_EQ(visited, elements(region, width, run));
        EXPECT_LE(rectangles, 3U);
    });
}

TEST(Region, WholeRowsAreOneRun) {
    std::vector<ElementRun> runs;
    visit_runs({{1, 5}, {0, 1}}, 1, {0, 100}, [&](ElementRun run) { runs.push_back(run); });
    EXPECT_EQ(runs, (std::vector<ElementRun>{{1, 5}}));
}

TEST(Region, MatrixWithoutColumnsHasNothing) {
    EXPECT_EQ(elements_within({{0, 3}, {0, 0}}, 0, {0, 0}), 0U);
    visit_runs({{0, 3}, {0, 0}}, 0, {0, 0}, [](ElementRun) { FAIL(); });
    visit_rectangles({{0, 3}, {0, 0}}, 0, {0, 0}, [](Region const&) { FAIL(); });
}

}  // namespace
}  // namespace tesserank::io
