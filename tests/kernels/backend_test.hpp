#pragma once

#include "kernels/backend.hpp"
#include "kernels/rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace tesserank::kernels {

/// A backend under test. Tests run over backends_under_test(): those of the host, or the CUDA
/// backend, as the test is linked.
struct BackendMaker {
    std::string name;
    std::function<std::unique_ptr<Backend>()> make;

    friend void PrintTo(BackendMaker const& maker, std::ostream* out) { *out << maker.name; }
};

std::vector<BackendMaker> backends_under_test();
/// Whether they have products that take activations in fp8.
bool quantises_activations();
/// Whether they keep sums of fp8 products in f32, which Hopper's tensor cores do not.
bool keeps_whole_sums();
/// Memory that the host reads and writes, and the backends under test too.
void* allocate_for_test(std::size_t bytes);
void free_for_test(void* memory);
/// Until all operations of the backends have run.
void settle();

template <class T>
struct TestAllocator {
    using value_type = T;
    T* allocate(std::size_t count) { return static_cast<T*>(allocate_for_test(count * sizeof(T))); }
    void deallocate(T* memory, std::size_t) { free_for_test(memory); }
    bool operator==(TestAllocator const&) const = default;
};

/// NaN in the rows of a cache that no position of a segment has: nobody may read them.
inline void spoil_unowned_rows(TensorView cache, std::span<Segment const> segments) {
    std::vector<float> const nans(cache.cols, std::numeric_limits<float>::quiet_NaN());
    for (std::size_t row = 0; row < cache.rows; ++row) {
        bool const owned = std::any_of(segments.begin(), segments.end(), [row](Segment const& s) {
            return s.cache_row <= row && row < s.cache_row + s.first_position + s.tokens;
        });
        if (!owned) store_row(nans, cache, row);
    }
}

/// For loops over sizes: for (std::size_t const tokens : Sizes{1, 2, 3}).
using Sizes = std::initializer_list<std::size_t>;

inline constexpr DType all_dtypes[] = {DType::f32, DType::bf16, DType::f16};
inline constexpr DType activation_dtypes[] = {DType::f32, DType::bf16};

/// A matrix that test code reads and writes as floats, and backends as their own. The columns are a
/// part of a wider one, so that rows are not contiguous; what lies between them must stay
/// untouched. Whoever asks for it gets it with all operations done.
class Matrix {
  public:
    static constexpr std::size_t gap = 3;

    Matrix(std::size_t rows, std::size_t cols, DType dtype = DType::f32)
        : rows_(rows),
          cols_(cols),
          dtype_(dtype),
          bytes_(rows * (cols + gap) * size_of(dtype), filler) {
        for (std::size_t r = 0; r < rows; ++r) store_row(std::vector<float>(cols), view(), r);
    }

    Matrix(Matrix const& other)
        : rows_(other.rows_), cols_(other.cols_), dtype_(other.dtype_), bytes_(other.settled()) {}
    Matrix(Matrix&&) = default;
    Matrix& operator=(Matrix&&) = default;
    Matrix& operator=(Matrix const& other) { return *this = Matrix(other); }
    ~Matrix() = default;

    TensorView view() {
        settle();
        return {{bytes_.data(), dtype_, rows_, cols_, cols_ + gap}};
    }
    ConstTensorView view() const {
        settle();
        return BasicTensorView<std::byte const*>{bytes_.data(), dtype_, rows_, cols_, cols_ + gap};
    }
    std::size_t rows() const { return rows_; }
    std::size_t cols() const { return cols_; }

    float at(std::size_t row, std::size_t col) const {
        float value = 0.0F;
        load_row(view().rows_from(row, 1).cols_from(col, 1), 0, {&value, 1});
        return value;
    }
    void set(std::size_t row, std::size_t col, float value) {
        store_row({&value, 1}, view().rows_from(row, 1).cols_from(col, 1), 0);
    }
    std::vector<float> row(std::size_t index) const {
        std::vector<float> values(cols());
        load_row(view(), index, values);
        return values;
    }
    /// Whether nothing was written between the rows.
    bool gaps_untouched() const {
        std::size_t const stride = (cols() + gap) * size_of(dtype_);
        auto const& bytes = settled();
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            if (i % stride >= cols() * size_of(dtype_) && bytes[i] != filler) return false;
        }
        return true;
    }

  private:
    using Bytes = std::vector<std::byte, TestAllocator<std::byte>>;

    Bytes const& settled() const {
        settle();
        return bytes_;
    }

    static constexpr std::byte filler{0x5A};
    std::size_t rows_;
    std::size_t cols_;
    DType dtype_;
    Bytes bytes_;
};

/// Two tests that ask for the same numbers get the same.
class BackendTest : public ::testing::TestWithParam<BackendMaker> {
  protected:
    std::unique_ptr<Backend> backend = GetParam().make();
    std::unique_ptr<Backend> reference = make_reference_backend();
    std::mt19937 engine{20240607};

    Matrix random(std::size_t rows, std::size_t cols, DType dtype = DType::f32,
                  float deviation = 1.0F) {
        Matrix matrix(rows, cols, dtype);
        std::normal_distribution<float> distribution(0.0F, deviation);
        for (std::size_t r = 0; r < rows; ++r) {
            std::vector<float> row(cols);
            for (float& value : row) value = distribution(engine);
            store_row(row, matrix.view(), r);
        }
        return matrix;
    }

    /// The elements in the backend's memory; they live as long as the test.
    template <class T>
    DeviceSpan<T const> on(Backend& place, std::vector<T> const& host) {
        auto const bytes = std::as_bytes(std::span(host));
        memory_.push_back(place.allocate(bytes.size()));
        place.copy_from_host(bytes, memory_.back().get());
        return {reinterpret_cast<T const*>(memory_.back().get()), host.size()};
    }
    Segments segments_on(Backend& place, std::vector<Segment> const& list) {
        Segments segments{.list = on(place, list)};
        for (auto const& segment : list) {
            segments.longest = std::max(segments.longest, segment.tokens);
            segments.context = std::max(segments.context, segment.first_position + segment.tokens);
        }
        return segments;
    }

  private:
    std::vector<Buffer> memory_;
};

/// Half the distance from 1 to the next larger number.
constexpr float unit_roundoff(DType dtype) {
    return dtype == DType::f32 ? 0x1p-24F : dtype == DType::bf16 ? 0x1p-8F : 0x1p-11F;
}

/// Matrices are equal up to `relative` of the expected value plus `absolute`.
struct Tolerance {
    float relative = 0.0F;
    float absolute = 0.0F;
};

inline void expect_close(Matrix const& actual, Matrix const& expected, Tolerance tolerance) {
    ASSERT_EQ(actual.rows(), expected.rows());
    ASSERT_EQ(actual.cols(), expected.cols());
    EXPECT_TRUE(actual.gaps_untouched());
    for (std::size_t r = 0; r < expected.rows(); ++r) {
        auto const got = actual.row(r), want = expected.row(r);
        for (std::size_t c = 0; c < expected.cols(); ++c) {
            float const bound = tolerance.relative * std::abs(want[c]) + tolerance.absolute;
            ASSERT_NEAR(got[c], want[c], bound) << "row " << r << ", column " << c;
        }
    }
}

inline std::string name_of_backend(::testing::TestParamInfo<BackendMaker> const& info) {
    return info.param.name;
}

}  // namespace tesserank::kernels
