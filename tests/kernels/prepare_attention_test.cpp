#include "tests/kernels/backend_test.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace tesserank::kernels {
namespace {

/// One call: which heads, of which dtype, and where the tokens stand.
struct Call {
    std::size_t tokens = 0;
    std::vector<Segment> segments{};
    AttentionShape shape{};
    DType qkv = DType::bf16, cache = DType::bf16;
    DType norm = DType::bf16;
    bool normalises = true;
    /// Columns between the parts of wider matrices; 5 makes rows begin at multiples of 16 bytes.
    std::size_t more_gap = 5;
};

class PrepareAttentionTest : public BackendTest {
  protected:
    void compare(Call const& call) {
        auto const& [q, k, dim] =
            std::tuple(call.shape.query_heads, call.shape.kv_heads, call.shape.head_dim);
        SCOPED_TRACE(::testing::Message()
                     << call.tokens << " tokens, " << q << " + 2 * " << k << " heads of " << dim
                     << ", qkv " << name_of(call.qkv) << ", cache " << name_of(call.cache)
                     << ", norm " << name_of(call.norm));
        std::size_t cache_rows = 1;
        for (auto const& s : call.segments) {
            cache_rows = std::max(cache_rows, s.cache_row + s.first_position + s.tokens);
        }
        std::size_t const qkv_cols = (q + 2 * k) * dim;
        Matrix qkv = random(call.tokens, qkv_cols + call.more_gap, call.qkv);
        Matrix k_cache = random(cache_rows, k * dim + call.more_gap, call.cache);
        Matrix v_cache = random(cache_rows, k * dim + call.more_gap, call.cache);
        Matrix const cos_sin = random(call.tokens, dim + call.more_gap);
        Matrix const query_norm = random(1, dim, call.norm), key_norm = random(1, dim, call.norm);
        HeadNorms norms{.query = {}, .key = {}, .eps = 1e-5F};
        if (call.normalises) {
            norms.query = query_norm.view();
            norms.key = key_norm.view();
        }
        Matrix expected_qkv = qkv, expected_k = k_cache, expected_v = v_cache;
        backend->prepare_attention(
            qkv.view().cols_from(0, qkv_cols), call.shape, norms, cos_sin.view().cols_from(0, dim),
            segments_on(*backend, call.segments), k_cache.view().cols_from(0, k * dim),
            v_cache.view().cols_from(0, k * dim));
        reference->prepare_attention(
            expected_qkv.view().cols_from(0, qkv_cols), call.shape, norms,
            cos_sin.view().cols_from(0, dim), segments_on(*reference, call.segments),
            expected_k.view().cols_from(0, k * dim), expected_v.view().cols_from(0, k * dim));
        expect_close(qkv, expected_qkv, tolerance(call));
        expect_close(k_cache, expected_k, tolerance(call));
        expect_close(v_cache, expected_v, {});
    }

    /// The sum of squares has a relative error of D u at most; normalised elements times weight,
    /// cosine and sine are below 64. Where the parts of the operation round to bf16 in between, an
    /// element may be off by two roundings of its pair.
    static Tolerance tolerance(Call const& call) {
        bool const rounds = call.qkv == DType::bf16 || call.cache == DType::bf16;
        float const sum = static_cast<float>(call.shape.head_dim + 8) * unit_roundoff(DType::f32);
        return {.relative = rounds ? 2 * unit_roundoff(DType::bf16) : 0.0F,
                .absolute = 64 * sum + (rounds ? 32 * unit_roundoff(DType::bf16) : 0.0F)};
    }
};

AttentionShape shape_of(std::size_t query_heads, std::size_t kv_heads, std::size_t head_dim) {
    return {.query_heads = query_heads, .kv_heads = kv_heads, .head_dim = head_dim};
}

/// Pieces of several lengths in another order than their rows, and rows between them that belong to
/// none.
std::vector<Segment> ragged() {
    return {{.row = 6, .tokens = 4, .first_position = 0, .cache_row = 30},
            {.row = 0, .tokens = 3, .first_position = 7, .cache_row = 2},
            {.row = 4, .tokens = 0, .first_position = 1, .cache_row = 0},
            {.row = 5, .tokens = 1, .first_position = 20, .cache_row = 50}};
}

TEST_P(PrepareAttentionTest, AllHeadDimsAgreeWithReference) {
    for (std::size_t const dim : Sizes{2, 6, 16, 64, 80, 96, 128, 256}) {
        for (DType const qkv : activation_dtypes) {
            for (DType const cache : activation_dtypes) {
                for (std::size_t const more_gap : Sizes{0, 5}) {
                    compare({.tokens = 11,
                             .segments = ragged(),
                             .shape = shape_of(3, 2, dim),
                             .qkv = qkv,
                             .cache = cache,
                             .more_gap = more_gap});
                }
            }
        }
    }
}

TEST_P(PrepareAttentionTest, NormsOfAllDtypesOrNoneAgreeWithReference) {
    for (DType const norm : all_dtypes) {
        for (bool const normalises : {true, false}) {
            compare({.tokens = 11,
                     .segments = ragged(),
                     .shape = shape_of(3, 2, 64),
                     .qkv = DType::f32,
                     .cache = DType::f32,
                     .norm = norm,
                     .normalises = normalises});
        }
    }
}

TEST_P(PrepareAttentionTest, ManyOrFewHeadsAgreeWithReference) {
    for (auto const& [q, k] :
         {std::pair<std::size_t, std::size_t>{32, 8}, {1, 1}, {0, 1}, {25, 5}}) {
        compare({.tokens = 1, .segments = {{.tokens = 1}}, .shape = shape_of(q, k, 128)});
        compare({.tokens = 5, .segments = {{.tokens = 4}}, .shape = shape_of(q, k, 64)});
    }
}

/// More sequences than a block has threads.
TEST_P(PrepareAttentionTest, EachOfManySequencesIsStoredInItsPlace) {
    std::vector<Segment> segments;
    for (std::size_t b = 0; b < 300; ++b) {
        segments.push_back({.row = b,
                            .tokens = b % 7 == 0 ? 0U : 1U,
                            .first_position = b % 3,
                            .cache_row = 3 * b});
    }
    compare({.tokens = 300, .segments = segments, .shape = shape_of(2, 1, 16)});
}

TEST_P(PrepareAttentionTest, NoTokensOrNoHeadsDoNothing) {
    compare({.tokens = 0, .shape = shape_of(2, 1, 64)});
    compare({.tokens = 3, .segments = {{.tokens = 3}}, .shape = shape_of(0, 0, 64)});
    compare({.tokens = 3, .shape = shape_of(2, 1, 64)});
}

/// Of bf16 heads in aligned rows, one operation at a time: vectors on a GPU.
TEST_P(PrepareAttentionTest, ItsPartsAgreeWithReferenceInBf16) {
    for (std::size_t const dim : Sizes{40, 64, 128}) {
        Matrix x = random(7, 3 * dim + 5, DType::bf16);
        Matrix const weight = random(1, dim, DType::bf16), cos_sin = random(7, dim + 5);
        Matrix expected = x;
        Tolerance const bound = tolerance({.shape = shape_of(3, 0, dim)});
        backend->head_rms_norm(x.view().cols_from(0, 3 * dim), dim, weight.view(), 1e-6F);
        reference->head_rms_norm(expected.view().cols_from(0, 3 * dim), dim, weight.view(), 1e-6F);
        expect_close(x, expected, bound);
        expected = x;
        backend->rotary(x.view().cols_from(0, 3 * dim), dim, cos_sin.view().cols_from(0, dim));
        reference->rotary(expected.view().cols_from(0, 3 * dim), dim,
                          cos_sin.view().cols_from(0, dim));
        expect_close(x, expected, bound);
    }
}

INSTANTIATE_TEST_SUITE_P(Backends, PrepareAttentionTest, ::testing::ValuesIn(backends_under_test()),
                         name_of_backend);

}  // namespace
}  // namespace tesserank::kernels
