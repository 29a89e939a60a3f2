#include "io/images/resize.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace tesserank::io {
namespace {

// A product of a weight and a pixel sums up in 32 bits with room for weights beyond 1.
constexpr int precision = 32 - 8 - 2;

double bicubic(double x) {
    constexpr double a = -0.5;
    x = std::abs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return 0.0;
}

/// What one output pixel is made of: consecutive input pixels and their weights.
struct Mix {
    std::size_t first = 0;
    std::vector<std::int32_t> weights;
};

Mix mix_for(std::size_t index, std::size_t from, std::size_t to) {
    double const scale = static_cast<double>(from) / static_cast<double>(to);
    double const filter_scale = std::max(scale, 1.0);
    double const support = 2.0 * filter_scale;
    double const center = (static_cast<double>(index) + 0.5) * scale;
    // Halves are rounded up at both ends.
    double const low = std::floor(center - support + 0.5);
    double const high = std::floor(center + support + 0.5);
    auto const first = static_cast<std::ptrdiff_t>(std::max(low, 0.0));
    auto const end = std::min(static_cast<std::ptrdiff_t>(high), static_cast<std::ptrdiff_t>(from));
    std::vector<double> exact;
    double sum = 0.0;
    for (auto i = first; i < end; ++i) {
        exact.push_back(bicubic((static_cast<double>(i) - center + 0.5) / filter_scale));
        sum += exact.back();
    }
    Mix mix{.first = static_cast<std::size_t>(first), .weights = {}};
    for (double weight : exact) {
        if (sum != 0.0) weight /= sum;
        mix.weights.push_back(static_cast<std::int32_t>(std::lround(weight * (1 << precision))));
    }
    return mix;
}

std::vector<Mix> mixes_for(std::size_t from, std::size_t to) {
    std::vector<Mix> mixes(to);
    for (std::size_t i = 0; i < to; ++i) mixes[i] = mix_for(i, from, to);
    return mixes;
}

/// The mix of pixels that lie `step` bytes apart.
std::uint8_t blend(Mix const& mix, std::uint8_t const* pixels, std::size_t step) {
    std::int32_t sum = 1 << (precision - 1);
    std::uint8_t const* pixel = pixels + mix.first * step;
    for (std::int32_t const weight : mix.weights) {
        sum += weight * *pixel;
        pixel += step;
    }
    return static_cast<std::uint8_t>(std::clamp(sum >> precision, 0, 255));
}

Picture resize_across(Picture const& picture, std::size_t width) {
    Picture result(width, picture.height);
    auto const columns = mixes_for(picture.width, width);
    for (std::size_t y = 0; y < picture.height; ++y) {
        for (std::size_t x = 0; x < width; ++x) {
            for (std::size_t c = 0; c < 3; ++c) {
                result.row(y)[3 * x + c] = blend(columns[x], picture.row(y) + c, 3);
            }
        }
    }
    return result;
}

Picture resize_down(Picture const& picture, std::size_t height) {
    Picture result(picture.width, height);
    auto const rows = mixes_for(picture.height, height);
    for (std::size_t y = 0; y < height; ++y) {
        for (std::size_t i = 0; i < 3 * picture.width; ++i) {
            result.row(y)[i] = blend(rows[y], picture.row(0) + i, 3 * picture.width);
        }
    }
    return result;
}

/// The first pass rounds and clips, so the order can be seen in the result. That of Pillow 13; the
/// versions before always began with the columns.
bool rows_first(Picture const& picture, std::size_t width, std::size_t height) {
    auto const shrinking = [](std::size_t from, std::size_t to) {
        return static_cast<std::ptrdiff_t>(from) - static_cast<std::ptrdiff_t>(to);
    };
    auto const rows = shrinking(picture.height, height);
    return rows > 0 && rows > 2 * shrinking(picture.width, width);
}

}  // namespace

Picture resize_bicubic(Picture const& picture, std::size_t width, std::size_t height) {
    if (rows_first(picture, width, height)) {
        return resize_across(resize_down(picture, height), width);
    }
    return resize_down(resize_across(picture, width), height);
}

}  // namespace tesserank::io
