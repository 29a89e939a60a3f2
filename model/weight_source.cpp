#include "model/weight_source.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

namespace tesserank::model {

MatrixShape matrix_of(std::span<std::size_t const> shape) {
    while (shape.size() > 2 && shape.front() == 1) shape = shape.subspan(1);
    if (shape.empty()) return {1, 1};
    return {shape.front(),
            std::accumulate(shape.begin() + 1, shape.end(), std::size_t{1}, std::multiplies<>())};
}

}  // namespace tesserank::model
