#pragma once

#include "tests/kernels/backend_test.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tesserank::kernels {

/// Weights or rows in fp8 and their scales, in memory of the backends under test; `distance`
/// columns lie between the rows.
class Quantised {
  public:
    Quantised(std::size_t rows, std::size_t cols, std::size_t distance)
        : rows_(rows),
          cols_(cols),
          stride_(cols + distance),
          elements_(rows * stride_),
          scales_(1, rows) {}

    TensorView view() {
        settle();
        return {
            {reinterpret_cast<std::byte*>(elements_.data()), DType::f8e4m3, rows_, cols_, stride_}};
    }
    TensorView scales() { return scales_.view(); }
    QuantisedRows rows() { return {view(), scales()}; }
    std::uint8_t bits(std::size_t row, std::size_t col) {
        settle();
        return elements_[row * stride_ + col].bits;
    }
    float scale(std::size_t row) { return scales_.at(0, row); }

  private:
    std::size_t rows_, cols_, stride_;
    std::vector<Float8, TestAllocator<Float8>> elements_;
    Matrix scales_;
};

}  // namespace tesserank::kernels
