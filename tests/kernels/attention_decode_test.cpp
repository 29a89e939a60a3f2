#include "kernels/resident_decode.hpp"
#include "tests/kernels/backend_test.hpp"

#include <algorithm>
#include <span>

namespace tesserank::kernels {
namespace {

/// A matrix whose rows begin at multiples of 16 bytes when `cols` is a multiple of 8, as those of
/// models do, so that tensor cores and vectors can be used.
class AlignedMatrix {
  public:
    static constexpr std::size_t more_gap = 8 - Matrix::gap;

    AlignedMatrix(Matrix matrix) : matrix_(std::move(matrix)) {}
    TensorView view() { return matrix_.view().cols_from(0, matrix_.cols() - more_gap); }
    ConstTensorView view() const { return matrix_.view().cols_from(0, matrix_.cols() - more_gap); }
    Matrix const& matrix() const { return matrix_; }

  private:
    Matrix matrix_;
};

/// One call: a token for each sequence, behind so many others.
struct Call {
    std::vector<Segment> segments{};
    AttentionShape shape{};
    DType q = DType::bf16, cache = DType::bf16, y = DType::bf16;
};

class AttentionDecodeTest : public BackendTest {
  protected:
    AlignedMatrix aligned(std::size_t rows, std::size_t cols, DType dtype) {
        return random(rows, cols + AlignedMatrix::more_gap, dtype);
    }

    void compare(Call const& call) {
        auto const& shape = call.shape;
        SCOPED_TRACE(::testing::Message()
                     << shape.query_heads << " heads from " << shape.first_query << ", groups of "
                     << shape.queries_per_kv << ", head_dim " << shape.head_dim << ", window "
                     << shape.window << ", q " << name_of(call.q) << ", cache "
                     << name_of(call.cache));
        std::size_t rows = 0, cache_rows = 0;
        for (auto const& s : call.segments) {
            rows = std::max(rows, s.row + 1);
            cache_rows = std::max(cache_rows, s.cache_row + s.first_position + 1);
        }
        std::size_t const q_cols = shape.query_heads * shape.head_dim;
        std::size_t const kv_cols = shape.kv_heads * shape.head_dim;
        auto const q = aligned(rows, q_cols, call.q);
        auto k = aligned(cache_rows + 1, kv_cols, call.cache);
        auto v = aligned(cache_rows + 1, kv_cols, call.cache);
        spoil_unowned_rows(k.view(), call.segments);
        spoil_unowned_rows(v.view(), call.segments);
        auto y = aligned(rows, q_cols, call.y);
        auto expected = y;
        backend->attention_decode(q.view(), k.view(), v.view(),
                                  segments_on(*backend, call.segments), shape, y.view());
        reference->attention_decode(q.view(), k.view(), v.view(),
                                    segments_on(*reference, call.segments), shape, expected.view());
        expect_close(y.matrix(), expected.matrix(), tolerance(call));
    }

    /// In f32 as in AttentionTest. With all in bf16 a backend may round the weights to bf16, each
    /// by u of itself: of values around 1, whose distance from y is below 6, y is then wrong by 6 u
    /// at most. A bf16 result may be rounded to the other neighbour.
    static Tolerance tolerance(Call const& call) {
        bool const rounds = call.q == DType::bf16 && call.cache == DType::bf16;
        float const u = unit_roundoff(DType::bf16);
        return {
            .relative = call.y == DType::bf16 ? 2 * u : 0.0F,
            .absolute = 16 * unit_roundoff(DType::f32) * static_cast<float>(call.shape.head_dim) +
                        (rounds ? 6 * u : 0.0F)};
    }
};

AttentionShape shape_of(std::size_t kv_heads, std::size_t group, std::size_t head_dim) {
    return {.query_heads = kv_heads * group,
            .kv_heads = kv_heads,
            .head_dim = head_dim,
            .queries_per_kv = group,
            .scale = 1.0F / std::sqrt(static_cast<float>(head_dim))};
}

/// Rows in falling order; the cache has unused rows between the sequences.
std::vector<Segment> single(Sizes const& positions) {
    std::vector<Segment> segments;
    std::size_t cache_row = 1;
    for (std::size_t const position : positions) {
        segments.push_back({.row = positions.size() - 1 - segments.size(),
                            .tokens = 1,
                            .first_position = position,
                            .cache_row = cache_row});
        cache_row += position + 3;
    }
    return segments;
}

TEST_P(AttentionDecodeTest, AllHeadDimsAgreeWithReference) {
    for (std::size_t const dim : Sizes{64, 80, 96, 128, 256}) {
        compare({single({0, 15, 16, 17, 63, 64, 130}), shape_of(2, 4, dim)});
    }
}

TEST_P(AttentionDecodeTest, AllGroupsAgreeWithReference) {
    for (std::size_t const group : Sizes{1, 2, 4, 5, 7, 8, 16, 17, 35}) {
        compare({single({0, 40, 100}), shape_of(2, group, 64)});
        compare({single({0, 40, 100}), shape_of(2, group, 64), DType::f32, DType::f32, DType::f32});
    }
}

TEST_P(AttentionDecodeTest, AllDtypesAgreeWithReference) {
    for (DType const q : activation_dtypes) {
        for (DType const cache : activation_dtypes) {
            for (DType const y : activation_dtypes) {
                compare({single({5, 97}), shape_of(1, 3, 64), q, cache, y});
                compare({single({5, 97}), shape_of(3, 1, 20), q, cache, y});
            }
        }
    }
}

/// Alone, so that it is cut into as many parts as there can be.
TEST_P(AttentionDecodeTest, LongContextsAgreeWithReference) {
    for (std::size_t const position : Sizes{1000, 1023, 1024, 2049}) {
        compare({single({position}), shape_of(1, 4, 128)});
    }
    compare({single({1500}), shape_of(2, 2, 64), DType::f32, DType::f32, DType::f32});
    compare({single({1100, 3, 600}), shape_of(1, 8, 64)});
}

TEST_P(AttentionDecodeTest, WindowsOfAllSizesAgreeWithReference) {
    for (std::size_t const window : Sizes{1, 2, 15, 16, 17, 64, 65, 300, 5000}) {
        auto shape = shape_of(1, 4, 64);
        shape.window = window;
        compare({single({0, 70, 500}), shape});
        compare({single({0, 70, 500}), shape, DType::f32, DType::f32, DType::f32});
    }
}

TEST_P(AttentionDecodeTest, HeadsOfARankBeginInsideAGroup) {
    for (std::size_t const first : Sizes{0, 1, 4}) {
        for (std::size_t const heads : Sizes{1, 2, 6, 8}) {
            AttentionShape const shape{.query_heads = heads,
                                       .kv_heads = (first + heads + 4) / 5,
                                       .head_dim = 64,
                                       .queries_per_kv = 5,
                                       .first_query = first,
                                       .scale = 0.125F};
            compare({single({3, 70}), shape});
            compare({single({3, 70}), shape, DType::f32, DType::bf16, DType::f32});
        }
    }
}

/// Their rows of y stay as they are.
TEST_P(AttentionDecodeTest, SequencesThatHaveEndedWriteNothing) {
    auto segments = single({9, 100, 700, 2});
    segments[0].tokens = segments[2].tokens = 0;
    compare({segments, shape_of(2, 4, 64)});
    compare({segments, shape_of(2, 4, 64), DType::f32, DType::f32, DType::f32});
    for (auto& segment : segments) segment.tokens = 0;
    compare({segments, shape_of(2, 4, 64)});
    compare({{}, shape_of(2, 4, 64)});
}

/// What one call leaves behind must not change the next one: each has many parts.
TEST_P(AttentionDecodeTest, CallsInARowAgreeWithReference) {
    for (int call = 0; call < 3; ++call) {
        compare({single({900, 100}), shape_of(1, 4, 64)});
        compare({single({1000}), shape_of(2, 1, 40), DType::f32, DType::f32, DType::f32});
    }
}

/// A recording is made for the longest context that it may be replayed with.
TEST_P(AttentionDecodeTest, ShorterContextsThanTheBoundGiveTheSame) {
    auto const shape = shape_of(2, 4, 64);
    auto const q = aligned(2, 8 * 64, DType::bf16);
    auto const k = aligned(400, 2 * 64, DType::bf16);
    auto const v = aligned(400, 2 * 64, DType::bf16);
    auto y = aligned(2, 8 * 64, DType::f32);
    auto expected = y;
    auto segments = segments_on(*backend, single({0, 300}));
    segments.context = 4096;
    backend->attention_decode(q.view(), k.view(), v.view(), segments, shape, y.view());
    reference->attention_decode(q.view(), k.view(), v.view(),
                                segments_on(*reference, single({0, 300})), shape, expected.view());
    expect_close(y.matrix(), expected.matrix(), tolerance({.shape = shape, .y = DType::f32}));
}

/// One recording serves all steps: lengths come from the device, which here changes them between
/// two replays.
TEST_P(AttentionDecodeTest, ARecordingReplaysForOtherLengths) {
    auto* const resident = backend->resident_decode();
    if (resident == nullptr) GTEST_SKIP() << "the host records nothing";
    auto const shape = shape_of(1, 4, 64);
    auto const q = aligned(2, 4 * 64, DType::bf16);
    auto const k = aligned(1300, 64, DType::bf16);
    auto const v = aligned(1300, 64, DType::bf16);
    auto y = aligned(2, 4 * 64, DType::f32);
    auto const memory = backend->allocate(2 * sizeof(Segment));
    Segments const segments{
        .list = {reinterpret_cast<Segment const*>(memory.get()), 2}, .longest = 1, .context = 1024};
    auto const q_view = q.view(), k_view = k.view(), v_view = v.view();
    auto const y_view = y.view();
    auto const recording = resident->record(
        [&] { backend->attention_decode(q_view, k_view, v_view, segments, shape, y_view); });
    for (auto const& list : {single({0, 1000}), single({700, 40}), single({1023, 63})}) {
        backend->copy_from_host(std::as_bytes(std::span(list)), memory.get());
        recording->replay();
        auto expected = y;
        reference->attention_decode(q.view(), k.view(), v.view(), segments_on(*reference, list),
                                    shape, expected.view());
        expect_close(y.matrix(), expected.matrix(), tolerance({.shape = shape, .y = DType::f32}));
    }
}

INSTANTIATE_TEST_SUITE_P(Backends, AttentionDecodeTest, ::testing::ValuesIn(backends_under_test()),
                         name_of_backend);

}  // namespace
}  // namespace tesserank::kernels
