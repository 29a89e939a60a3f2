#include "kernels/kokkos/isa/kernel_table.hpp"
#include "kernels/rows.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <ostream>
#include <random>
#include <string>
#include <vector>

namespace tesserank::kernels::kokkos::isa {

void PrintTo(KernelTable const* table, std::ostream* out) { *out << table->name; }

namespace {

/// The backend's tests reach only the kernels of the CPU they run on; here all that it can run are
/// tested.
class IsaTest : public ::testing::TestWithParam<KernelTable const*> {
  protected:
    std::vector<float> random(std::size_t size) {
        std::normal_distribution<float> distribution;
        std::vector<float> values(size);
        for (float& value : values) value = distribution(engine_);
        return values;
    }

  private:
    std::mt19937 engine_{11};
};

TEST_P(IsaTest, WidensEveryHalfAndBfloat) {
    std::vector<std::uint16_t> bits(65536);
    for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
    std::vector<float> wide(bits.size());
    for (DType const dtype : {DType::bf16, DType::f16}) {
        GetParam()->widen(dtype, bits.data(), wide.data(), wide.size());
        for (std::size_t i = 0; i < bits.size(); ++i) {
            float const expected =
                dtype == DType::f16 ? to_float(Float16{bits[i]}) : to_float(BFloat16{bits[i]});
            if (std::isnan(expected)) {
                ASSERT_TRUE(std::isnan(wide[i])) << i;
            } else {
                ASSERT_EQ(wide[i], expected) << i;
            }
        }
    }
}

TEST_P(IsaTest, WidenStopsAtTheCount) {
    auto const source = random(40);
    for (std::size_t count = 0; count < 36; ++count) {
        std::vector<float> wide(40, -7.0F);
        GetParam()->widen(DType::f32, source.data(), wide.data(), count);
        for (std::size_t i = 0; i < 40; ++i) ASSERT_EQ(wide[i], i < count ? source[i] : -7.0F);
    }
}

constexpr DType all_dtypes[] = {DType::f32, DType::bf16, DType::f16};

/// Values as elements of a dtype, which they must fit.
std::vector<std::byte> stored(std::vector<float> const& values, DType dtype) {
    std::vector<std::byte> bytes(values.size() * size_of(dtype));
    store_row(values, {{bytes.data(), dtype, 1, values.size(), values.size()}}, 0);
    return bytes;
}

/// Sums of small integers are exact, so that every order and every rounding gives the same.
TEST_P(IsaTest, DotsOfIntegersAreExact) {
    for (std::size_t tokens = 1; tokens < 13; ++tokens) {
        for (std::size_t const depth : {std::size_t{1}, std::size_t{16}, std::size_t{53}}) {
            std::size_t const rows = 2 * tokens + 15;
            std::vector<float> x(tokens * padded(depth));
            std::vector<float> w(rows * depth);
            for (std::size_t i = 0; i < tokens * depth; ++i) {
                x[i / depth * padded(depth) + i % depth] = static_cast<float>(i % 7) - 3.0F;
            }
            for (std::size_t i = 0; i < w.size(); ++i) {
                w[i] = static_cast<float>(i % 11) - 5.0F;
            }
            for (DType const dtype : all_dtypes) {
                auto const bytes = stored(w, dtype);
                std::vector<float> y(tokens * rows);
                GetParam()->dot(
                    {x.data(), tokens, dtype, bytes.data(), depth, rows, depth, y.data(), rows});
                for (std::size_t t = 0; t < tokens; ++t) {
                    for (std::size_t n = 0; n < rows; ++n) {
                        auto const* const row = x.data() + t * padded(depth);
                        ASSERT_EQ(y[t * rows + n],
                                  std::inner_product(row, row + depth, w.data() + n * depth, 0.0F))
                            << name_of(dtype) << ", " << t << ", " << n << ", depth " << depth;
                    }
                }
            }
        }
    }
}

/// What the fastest and another instruction set make of the same task differs by rounding alone.
TEST_P(IsaTest, AttentionAgreesWithTheFastest) {
    constexpr std::size_t rows = 6;
    constexpr std::size_t dim = 20;
    constexpr std::size_t positions = 150;
    auto const q = random(rows * padded(dim));
    auto const k = random(positions * dim);
    auto const v = random(positions * dim);
    Range const visible[rows] = {{0, 150}, {0, 1}, {64, 65}, {60, 130}, {0, 64}, {100, 101}};
    auto const attend = [&](KernelTable const& table, DType dtype) {
        auto const keys = stored(k, dtype);
        auto const values = stored(v, dtype);
        std::vector<float> y(rows * padded(dim));
        std::vector<float> scores(rows * positions_per_block);
        std::vector<float> state(rows * 2);
        std::vector<float> clean(q);
        for (std::size_t r = 0; r < rows; ++r) {
            for (std::size_t d = dim; d < padded(dim); ++d) clean[r * padded(dim) + d] = 0.0F;
        }
        table.attend({clean.data(), rows, visible, dtype, keys.data(), values.data(), dim, dim,
                      0.2F, scores.data(), state.data(), y.data()});
        return y;
    };
    for (DType const dtype : {DType::f32, DType::bf16}) {
        auto const actual = attend(*GetParam(), dtype);
        auto const expected = attend(kernels_of_this_cpu(), dtype);
        for (std::size_t i = 0; i < actual.size(); ++i) {
            if (i % padded(dim) >= dim) continue;
            EXPECT_NEAR(actual[i], expected[i], 5e-6F) << name_of(dtype) << ", " << i;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Kernels, IsaTest, ::testing::ValuesIn(runnable_kernels()),
                         [](auto const& table) { return std::string(table.param->name); });

}  // namespace
}  // namespace tesserank::kernels::kokkos::isa
