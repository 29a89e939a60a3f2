#include "tests/kernels/backend_test.hpp"

#include <algorithm>

namespace tesserank::kernels {
namespace {

/// One call of attention over ragged segments.
struct Case {
    std::vector<Segment> segments;
    AttentionShape shape;
    DType cache = DType::f32;
    DType y = DType::f32;
    DType q = DType::f32;
};

std::size_t rows_of(Case const& c) {
    std::size_t rows = 0;
    for (auto const& s : c.segments) rows = std::max(rows, s.row + s.tokens);
    return rows;
}

std::size_t cache_rows_of(Case const& c) {
    std::size_t rows = 0;
    for (auto const& s : c.segments) {
        rows = std::max(rows, s.cache_row + s.first_position + s.tokens);
    }
    return rows;
}

class AttentionTest : public BackendTest {
  protected:
    void compare(Case const& c, Tolerance tolerance) {
        tolerance.absolute += tensor_core_error(c);
        SCOPED_TRACE(::testing::Message()
                     << c.shape.query_heads << " heads of " << c.shape.head_dim << ", window "
                     << c.shape.window << ", cache " << name_of(c.cache));
        Matrix const q = random(rows_of(c), c.shape.query_heads * c.shape.head_dim, c.q);
        Matrix const k = random(cache_rows_of(c), c.shape.kv_heads * c.shape.head_dim, c.cache);
        Matrix const v = random(cache_rows_of(c), c.shape.kv_heads * c.shape.head_dim, c.cache);
        Matrix y(q.rows(), q.cols(), c.y);
        Matrix expected(q.rows(), q.cols(), c.y);
        backend->attention_prefill(q.view(), k.view(), v.view(), segments_on(*backend, c.segments),
                                   c.shape, y.view());
        reference->attention_prefill(q.view(), k.view(), v.view(),
                                     segments_on(*reference, c.segments), c.shape, expected.view());
        expect_close(y, expected, tolerance);
        bool const decode = std::all_of(c.segments.begin(), c.segments.end(),
                                        [](Segment const& s) { return s.tokens <= 1; });
        if (!decode) return;
        Matrix decoded(q.rows(), q.cols(), c.y);
        backend->attention_decode(q.view(), k.view(), v.view(), segments_on(*backend, c.segments),
                                  c.shape, decoded.view());
        expect_close(decoded, expected, tolerance);
    }

    /// Tensor cores round the weights to bf16, and q: by u = 2^-8 at most, which moves a score by a
    /// few u / sqrt(D) sqrt(D) and the result by as much times the values, which are below 5. With
    /// q that is bf16 there is a tighter bound: attention_prefill_test.cpp.
    float tensor_core_error(Case const& c) const {
        bool const fits = std::ranges::count(Sizes{64, 80, 96, 128, 256}, c.shape.head_dim) > 0;
        bool const used = backend->name() == "cuda" && c.cache == DType::bf16 && fits;
        return used ? 8 * unit_roundoff(DType::bf16) : 0.0F;
    }

    /// Weights sum to 1 and values are near 1, so that the error of y is that of the weights: a
    /// score of size s = scale |q| |k| ~ sqrt(D) has an error of about s u sqrt(D), which e^score
    /// passes on as a relative error.
    static Tolerance f32_tolerance(AttentionShape const& shape) {
        return {.absolute = 16 * unit_roundoff(DType::f32) * static_cast<float>(shape.head_dim)};
    }
    /// A bf16 result may be rounded to the other neighbour.
    static Tolerance bf16_tolerance(AttentionShape const& shape) {
        return {.relative = 2 * unit_roundoff(DType::bf16),
                .absolute = f32_tolerance(shape).absolute};
    }
};

AttentionShape shape_of(std::size_t query_heads, std::size_t kv_heads, std::size_t head_dim) {
    return {.query_heads = query_heads,
            .kv_heads = kv_heads,
            .head_dim = head_dim,
            .queries_per_kv = query_heads == 0 ? 1 : query_heads / kv_heads,
            .scale = 1.0F / std::sqrt(static_cast<float>(head_dim))};
}

/// Prompts of several lengths, some continuing; rows and cache rows are in another order than the
/// sequences.
std::vector<Segment> ragged() {
    return {{.row = 70, .tokens = 5, .first_position = 0, .cache_row = 200},
            {.row = 0, .tokens = 65, .first_position = 0, .cache_row = 0},
            {.row = 75, .tokens = 1, .first_position = 130, .cache_row = 300},
            {.row = 76, .tokens = 33, .first_position = 31, .cache_row = 70},
            {.row = 65, .tokens = 0, .first_position = 3, .cache_row = 0},
            {.row = 66, .tokens = 2, .first_position = 63, .cache_row = 440}};
}

std::vector<Segment> single(Sizes const& positions) {
    std::vector<Segment> segments;
    std::size_t cache_row = 0;
    for (std::size_t const position : positions) {
        segments.push_back({.row = positions.size() - 1 - segments.size(),
                            .tokens = 1,
                            .first_position = position,
                            .cache_row = cache_row});
        cache_row += position + 3;
    }
    return segments;
}

/// A loop over all pairs with a mask, in double, which knows nothing of blocks or ranges.
TEST_P(AttentionTest, AgreesWithAMaskedSoftmax) {
    constexpr std::size_t tokens = 11;
    constexpr std::size_t dim = 5;
    AttentionShape const shape{.query_heads = 3,
                               .kv_heads = 2,
                               .head_dim = dim,
                               .queries_per_kv = 2,
                               .first_query = 1,
                               .scale = 0.3F,
                               .window = 4};
    Matrix const q = random(tokens, 3 * dim);
    Matrix const k = random(tokens, 2 * dim);
    Matrix const v = random(tokens, 2 * dim);
    Matrix y(tokens, 3 * dim);
    std::vector<Segment> const segments{{.row = 0, .tokens = tokens}};
    backend->attention_prefill(q.view(), k.view(), v.view(), segments_on(*backend, segments), shape,
                               y.view());
    std::size_t const kv_head_of[] = {0, 1, 1};
    for (std::size_t i = 0; i < tokens; ++i) {
        for (std::size_t h = 0; h < 3; ++h) {
            double sum = 0.0;
            std::vector<double> mix(dim);
            for (std::size_t j = 0; j < tokens; ++j) {
                if (j > i || i - j >= 4) continue;
                double score = 0.0;
                for (std::size_t d = 0; d < dim; ++d) {
                    score +=
                        double{q.at(i, h * dim + d)} * double{k.at(j, kv_head_of[h] * dim + d)};
                }
                double const weight = std::exp(score * 0.3);
                sum += weight;
                for (std::size_t d = 0; d < dim; ++d) {
                    mix[d] += weight * double{v.at(j, kv_head_of[h] * dim + d)};
                }
            }
            for (std::size_t d = 0; d < dim; ++d) {
                EXPECT_NEAR(double{y.at(i, h * dim + d)}, mix[d] / sum, 1e-5);
            }
        }
    }
}

TEST_P(AttentionTest, PrefillAgreesWithReference) {
    for (DType const dtype : activation_dtypes) {
        for (std::size_t const dim : Sizes{8, 16, 20, 64}) {
            auto const shape = shape_of(6, 2, dim);
            compare({ragged(), shape, dtype, DType::f32}, f32_tolerance(shape));
        }
        auto const shape = shape_of(1, 1, 1);
        compare({ragged(), shape, dtype, DType::bf16}, bf16_tolerance(shape));
        auto const wide = shape_of(4, 2, 64);
        compare({ragged(), wide, dtype, DType::bf16, DType::bf16}, bf16_tolerance(wide));
    }
}

TEST_P(AttentionTest, DecodeAgreesWithReference) {
    for (DType const dtype : activation_dtypes) {
        for (std::size_t const dim : Sizes{1, 17, 32, 128}) {
            auto const shape = shape_of(4, 1, dim);
            auto const segments = single({0, 1, 62, 63, 64, 65, 127, 150});
            compare({segments, shape, dtype, DType::f32}, f32_tolerance(shape));
            compare({segments, shape, dtype, DType::bf16}, bf16_tolerance(shape));
            compare({segments, shape, dtype, DType::bf16, DType::bf16}, bf16_tolerance(shape));
        }
    }
}

TEST_P(AttentionTest, DecodePassesOverSequencesThatHaveEnded) {
    auto segments = single({5, 70, 0, 129});
    segments[1].tokens = segments[2].tokens = 0;
    auto const shape = shape_of(4, 2, 16);
    compare({segments, shape}, f32_tolerance(shape));
    for (auto& segment : segments) segment.tokens = 0;
    compare({segments, shape}, {});
}

TEST_P(AttentionTest, AWindowHidesWhatLiesBeforeIt) {
    for (std::size_t const window : Sizes{1, 3, 8, 63, 64, 65, 1000}) {
        auto shape = shape_of(4, 2, 16);
        shape.window = window;
        compare({ragged(), shape}, f32_tolerance(shape));
        compare({single({0, 2, 64, 130, 191}), shape}, f32_tolerance(shape));
    }
}

/// 25 heads over 4 ranks: a rank begins and ends inside the group of a kv head.
TEST_P(AttentionTest, HeadsOfARankBeginInsideAGroup) {
    for (std::size_t const first : Sizes{0, 1, 4}) {
        for (std::size_t const heads : Sizes{1, 2, 6, 8}) {
            AttentionShape const shape{.query_heads = heads,
                                       .kv_heads = (first + heads + 4) / 5,
                                       .head_dim = 12,
                                       .queries_per_kv = 5,
                                       .first_query = first,
                                       .scale = 0.5F};
            compare({ragged(), shape}, f32_tolerance(shape));
            compare({single({3, 70}), shape}, f32_tolerance(shape));
        }
    }
}

TEST_P(AttentionTest, NoHeadsOrNoTokensDoNothing) {
    compare({ragged(), shape_of(0, 0, 16)}, {});
    compare({ragged(), shape_of(0, 1, 16)}, {});
    compare({{}, shape_of(2, 1, 16)}, {});
}

TEST_P(AttentionTest, LargeScoresDoNotOverflow) {
    AttentionShape const shape{.query_heads = 1, .kv_heads = 1, .head_dim = 1, .scale = 1.0F};
    Matrix q(1, 1);
    Matrix k(130, 1);
    Matrix v(130, 1);
    q.set(0, 0, 1000.0F);
    for (std::size_t p = 0; p < 130; ++p) {
        k.set(p, 0, static_cast<float>(p) - 200.0F);
        v.set(p, 0, static_cast<float>(p));
    }
    Matrix y(1, 1);
    std::vector<Segment> const segments{{.row = 0, .tokens = 1, .first_position = 129}};
    backend->attention_decode(q.view(), k.view(), v.view(), segments_on(*backend, segments), shape,
                              y.view());
    EXPECT_EQ(y.at(0, 0), 129.0F);
}

/// Neither the other sequences, nor the chunks in which a prompt is given, nor prefill or decode
/// change one bit of a token's result.
TEST_P(AttentionTest, ATokenAloneGivesTheBitsOfTheBatch) {
    if (backend->name() == "cuda") GTEST_SKIP() << "prefill and decode add in another order there";
    for (std::size_t const window : Sizes{0, 50}) {
        auto shape = shape_of(6, 2, 24);
        shape.window = window;
        Case const c{ragged(), shape, DType::bf16};
        Matrix const q = random(rows_of(c), 6 * 24);
        Matrix const k = random(cache_rows_of(c), 2 * 24, c.cache);
        Matrix const v = random(cache_rows_of(c), 2 * 24, c.cache);
        Matrix y(q.rows(), q.cols());
        Matrix alone(q.rows(), q.cols());
        backend->attention_prefill(q.view(), k.view(), v.view(), segments_on(*backend, c.segments),
                                   shape, y.view());
        for (auto const& s : c.segments) {
            for (std::size_t i = 0; i < s.tokens; ++i) {
                Segment const one{s.row + i, 1, s.first_position + i, s.cache_row};
                backend->attention_decode(q.view(), k.view(), v.view(),
                                          segments_on(*backend, {one}), shape, alone.view());
            }
        }
        for (std::size_t t = 0; t < q.rows(); ++t) ASSERT_EQ(y.row(t), alone.row(t)) << "row " << t;
    }
}

/// A rank with some of the heads gets the bits that one rank with all of them gets.
TEST_P(AttentionTest, AHeadAloneGivesTheBitsOfAllHeads) {
    auto const shape = shape_of(6, 2, 40);
    Case const c{ragged(), shape};
    Matrix const q = random(rows_of(c), 6 * 40);
    Matrix const k = random(cache_rows_of(c), 2 * 40);
    Matrix const v = random(cache_rows_of(c), 2 * 40);
    Matrix y(q.rows(), q.cols());
    Matrix part(q.rows(), q.cols());
    backend->attention_prefill(q.view(), k.view(), v.view(), segments_on(*backend, c.segments),
                               shape, y.view());
    auto one = shape;
    one.query_heads = one.kv_heads = 1;
    for (std::size_t h = 0; h < 6; ++h) {
        one.first_query = h % 3;
        backend->attention_prefill(
            q.view().cols_from(h * 40, 40), k.view().cols_from(h / 3 * 40, 40),
            v.view().cols_from(h / 3 * 40, 40), segments_on(*backend, c.segments), one,
            part.view().cols_from(h * 40, 40));
    }
    for (std::size_t t = 0; t < q.rows(); ++t) ASSERT_EQ(y.row(t), part.row(t)) << "row " << t;
}

TEST_P(AttentionTest, StoredKeysAndValuesStandWhereTheSegmentsSay) {
    for (DType const dtype : activation_dtypes) {
        for (DType const from : activation_dtypes) {
            Matrix const k = random(109, 7, from);
            Matrix const v = random(109, 7, from);
            Matrix k_cache(505, 7, dtype);
            Matrix v_cache(505, 7, dtype);
            backend->store_kv(k.view(), v.view(), segments_on(*backend, ragged()), k_cache.view(),
                              v_cache.view());
            Matrix k_expected(505, 7, dtype);
            Matrix v_expected(505, 7, dtype);
            for (auto const& s : ragged()) {
                for (std::size_t i = 0; i < s.tokens; ++i) {
                    for (std::size_t c = 0; c < 7; ++c) {
                        std::size_t const to = s.cache_row + s.first_position + i;
                        k_expected.set(to, c, k.at(s.row + i, c));
                        v_expected.set(to, c, v.at(s.row + i, c));
                    }
                }
            }
            expect_close(k_cache, k_expected, {});
            expect_close(v_cache, v_expected, {});
        }
    }
}

/// In one pass what head_rms_norm, rotary and store_kv do one after the other. In bf16 it may round
/// once where they round three times.
TEST_P(AttentionTest, PrepareNormsRotatesAndStores) {
    for (DType const dtype : activation_dtypes) {
        for (bool const with_norms : {false, true}) {
            for (std::size_t const dim : Sizes{2, 16, 64, 128}) {
                SCOPED_TRACE(::testing::Message() << name_of(dtype) << ", heads of " << dim
                                                  << (with_norms ? " with norms" : ""));
                auto const shape = shape_of(6, 2, dim);
                Matrix qkv = random(109, 10 * dim, dtype);
                Matrix expected = qkv;
                Matrix const cos_sin = random(109, dim);
                Matrix const query = random(1, dim), key = random(1, dim, DType::bf16);
                HeadNorms const norms{.query = with_norms ? query.view() : ConstTensorView{},
                                      .key = with_norms ? key.view() : ConstTensorView{},
                                      .eps = 1e-5F};
                Matrix k(505, 2 * dim, dtype), v(505, 2 * dim, dtype);
                Matrix expected_k = k, expected_v = v;
                backend->prepare_attention(qkv.view(), shape, norms, cos_sin.view(),
                                           segments_on(*backend, ragged()), k.view(), v.view());
                reference->prepare_attention(expected.view(), shape, norms, cos_sin.view(),
                                             segments_on(*reference, ragged()), expected_k.view(),
                                             expected_v.view());
                // Normed values below 5 that are turned by factors below 5; see norm_test.cpp.
                float const sum = (static_cast<float>(dim) + 8) * unit_roundoff(DType::f32) +
                                  (dtype == DType::bf16 ? 4 * unit_roundoff(DType::bf16) : 0.0F);
                Tolerance const tolerance{.relative = sum, .absolute = 50 * sum};
                expect_close(qkv, expected, tolerance);
                expect_close(k, expected_k, tolerance);
                expect_close(v, expected_v, {});
            }
        }
    }
}

TEST_P(AttentionTest, RefusesWhatDoesNotFit) {
    auto const shape = shape_of(2, 1, 4);
    Matrix const q = random(3, 8);
    Matrix const cache = random(5, 4);
    Matrix y(3, 8);
    auto wrong = shape;
    wrong.first_query = 1;
    EXPECT_THROW(
        backend->attention_prefill(q.view(), cache.view(), cache.view(), {}, wrong, y.view()),
        LogicError);
    EXPECT_THROW(backend->attention_decode(q.view(), cache.view(), cache.view(),
                                           segments_on(*backend, {{0, 2, 0, 0}}), shape, y.view()),
                 LogicError);
    Matrix qkv = random(3, 17), k = random(5, 4), v = random(5, 4);
    EXPECT_THROW(backend->prepare_attention(qkv.view(), shape, {}, Matrix(3, 4).view(), {},
                                            k.view(), v.view()),
                 LogicError);
}

TEST_P(AttentionTest, RefusesSegmentsThatDoNotFit) {
    if (backend->name() == "cuda") GTEST_SKIP() << "the host does not read device memory";
    auto const shape = shape_of(2, 1, 4);
    Matrix const q = random(3, 8);
    Matrix const cache = random(5, 4);
    Matrix y(3, 8);
    auto const call = [&](Segment const& segment, AttentionShape const& with) {
        backend->attention_prefill(q.view(), cache.view(), cache.view(),
                                   segments_on(*backend, {segment}), with, y.view());
    };
    EXPECT_NO_THROW(call({0, 3, 2, 0}, shape));
    EXPECT_THROW(call({1, 3, 0, 0}, shape), LogicError);
    EXPECT_THROW(call({0, 3, 3, 0}, shape), LogicError);
    EXPECT_THROW(call({0, 3, 0, 3}, shape), LogicError);
    Segment const two{0, 2, 0, 0};
    Segments bounds = segments_on(*backend, {two});
    bounds.context = 1;
    EXPECT_THROW(
        backend->attention_prefill(q.view(), cache.view(), cache.view(), bounds, shape, y.view()),
        LogicError);
}

INSTANTIATE_TEST_SUITE_P(Backends, AttentionTest, ::testing::ValuesIn(backends_under_test()),
                         name_of_backend);

}  // namespace
}  // namespace tesserank::kernels
