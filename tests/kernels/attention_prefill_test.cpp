#include "tests/kernels/backend_test.hpp"

#include <algorithm>
#include <cstring>

/// Prefill attention where kernels cut it into tiles: head sizes of tensor cores, segments that end
/// and begin beside the edges of tiles, rows that are aligned to vectors and that are not.
namespace tesserank::kernels {
namespace {

/// A matrix in host memory with a chosen distance of its rows; fresh ones hold a filler.
class Rows {
  public:
    static constexpr std::byte filler{0x5A};

    Rows(std::size_t rows, std::size_t cols, std::size_t gap, DType dtype)
        : bytes_(rows * (cols + gap) * size_of(dtype), filler),
          shape_{{nullptr, dtype, rows, cols, cols + gap}} {}

    TensorView view() { return at(bytes_.data()); }
    /// Of a copy of the bytes.
    TensorView at(std::byte* data) const {
        TensorView view = shape_;
        view.data = data;
        return view;
    }
    std::vector<std::byte>& bytes() { return bytes_; }
    std::size_t row_bytes() const { return shape_.stride * size_of(shape_.dtype); }
    std::size_t used_row_bytes() const { return shape_.cols * size_of(shape_.dtype); }

  private:
    std::vector<std::byte> bytes_;
    TensorView shape_;
};

struct Case {
    AttentionShape shape;
    std::vector<Segment> segments;
    DType q = DType::bf16;
    DType cache = DType::bf16;
    DType y = DType::f32;
    std::size_t gap = 8;  ///< between rows; 8 elements keep 16-byte vectors aligned
    bool equal_keys = false;
};

/// Beside the edges of tiles of 16, 32, 64 and 128 queries and keys: one tile and a token, keys of
/// many tiles, one token, none. Row 171 belongs to nobody.
std::vector<Segment> at_edges() {
    return {{.row = 40, .tokens = 129, .first_position = 0, .cache_row = 0},
            {.row = 0, .tokens = 40, .first_position = 600, .cache_row = 130},
            {.row = 170, .tokens = 1, .first_position = 127, .cache_row = 771},
            {.row = 172, .tokens = 0, .first_position = 3, .cache_row = 0},
            {.row = 172, .tokens = 64, .first_position = 63, .cache_row = 900}};
}
constexpr std::size_t query_rows = 236;
constexpr std::size_t cache_rows = 1030;

/// Heads of a rank: `first` and on of groups of `group`.
AttentionShape heads(std::size_t count, std::size_t group, std::size_t first,
                     std::size_t head_dim) {
    return {.query_heads = count,
            .kv_heads = (first + count + group - 1) / group,
            .head_dim = head_dim,
            .queries_per_kv = group,
            .first_query = first,
            .scale = 1.0F / std::sqrt(static_cast<float>(head_dim))};
}

class AttentionPrefillTest : public BackendTest {
  protected:
    /// The numbers are bf16 whatever the type, so that a kernel may round them to it.
    Rows random_rows(std::size_t rows, std::size_t cols, Case const& c, DType dtype) {
        Rows matrix(rows, cols, c.gap, dtype);
        std::normal_distribution<float> distribution(0.0F, 1.0F);
        std::vector<float> row(cols);
        for (std::size_t r = 0; r < rows; ++r) {
            for (float& value : row) value = to_float(from_float<BFloat16>(distribution(engine)));
            store_row(row, matrix.view(), r);
        }
        return matrix;
    }

    struct Operands {
        Rows q, k, v;
    };
    Operands operands(Case const& c) {
        std::size_t const kv_cols = c.shape.kv_heads * c.shape.head_dim;
        Operands all{random_rows(query_rows, c.shape.query_heads * c.shape.head_dim, c, c.q),
                     random_rows(cache_rows, kv_cols, c, c.cache),
                     random_rows(cache_rows, kv_cols, c, c.cache)};
        if (c.equal_keys) std::fill(all.k.bytes().begin(), all.k.bytes().end(), std::byte{0});
        spoil_unowned_rows(all.k.view(), c.segments);
        spoil_unowned_rows(all.v.view(), c.segments);
        return all;
    }

    Buffer copy_on(Backend& place, Rows& rows) {
        Buffer memory = place.allocate(rows.bytes().size());
        place.copy_from_host(rows.bytes(), memory.get());
        return memory;
    }

    /// y of one call for each list of segments, one after the other.
    Rows prefill(Backend& place, Case const& c, Operands& o,
                 std::vector<std::vector<Segment>> const& calls) {
        Rows y(query_rows, c.shape.query_heads * c.shape.head_dim, c.gap, c.y);
        Buffer const q = copy_on(place, o.q);
        Buffer const k = copy_on(place, o.k);
        Buffer const v = copy_on(place, o.v);
        Buffer const result = copy_on(place, y);
        for (auto const& segments : calls) {
            place.attention_prefill(o.q.at(q.get()), o.k.at(k.get()), o.v.at(v.get()),
                                    segments_on(place, segments), c.shape, y.at(result.get()));
        }
        place.copy_to_host(result.get(), y.bytes());
        return y;
    }

    /// Rows of segments are close, everything else is as it was.
    static void expect_rows(Rows& actual, Rows& expected, Case const& c, Tolerance tolerance) {
        std::vector<float> have(actual.view().cols), want(actual.view().cols);
        for (std::size_t r = 0; r < query_rows; ++r) {
            bool const covered =
                std::any_of(c.segments.begin(), c.segments.end(),
                            [&](Segment const& s) { return s.row <= r && r < s.row + s.tokens; });
            std::size_t const written = covered ? actual.used_row_bytes() : 0;
            std::byte const* const row = actual.bytes().data() + r * actual.row_bytes();
            ASSERT_TRUE(std::all_of(row + written, row + actual.row_bytes(),
                                    [](std::byte b) { return b == Rows::filler; }))
                << "row " << r << " is written where it should not be";
            if (!covered) continue;
            load_row(actual.view(), r, have);
            load_row(expected.view(), r, want);
            for (std::size_t i = 0; i < want.size(); ++i) {
                ASSERT_NEAR(have[i], want[i],
                            tolerance.relative * std::abs(want[i]) + tolerance.absolute)
                    << "row " << r << ", column " << i;
            }
        }
    }

    void compare(Case const& c, Tolerance tolerance) {
        SCOPED_TRACE(::testing::Message()
                     << c.shape.query_heads << " heads of " << c.shape.head_dim << " from "
                     << c.shape.first_query << " of groups of " << c.shape.queries_per_kv
                     << (c.shape.causal ? ", causal" : ", all to all") << ", window "
                     << c.shape.window << ", q " << name_of(c.q) << ", cache " << name_of(c.cache)
                     << ", y " << name_of(c.y) << ", gap " << c.gap);
        Operands o = operands(c);
        Rows actual = prefill(*backend, c, o, {c.segments});
        Rows expected = prefill(*reference, c, o, {c.segments});
        expect_rows(actual, expected, c, tolerance);
    }

    /// Tensor cores take weights e^(score - largest score), which are at most 1, rounded to bf16:
    /// each may be wrong by a part of u = 2^-8, but for the largest, which is 1. The others' share
    /// of the result is no larger than the largest value, about 5; that all roundings of many
    /// weights go one way does not happen, so that 2 u is what remains. The f32 sums and
    /// exponentials are exact beside this. A bf16 result is rounded once more.
    static Tolerance tensor_core_tolerance(DType y) {
        return {.relative = y == DType::bf16 ? unit_roundoff(DType::bf16) : 0.0F,
                .absolute = 2 * unit_roundoff(DType::bf16)};
    }
};

TEST_P(AttentionPrefillTest, TilesAgreeWithReference) {
    struct Mask {
        bool causal;
        std::size_t window;
    };
    struct Group {
        std::size_t heads, group, first;
    };
    std::size_t turn = 0;
    for (std::size_t const dim : Sizes{64, 80, 96, 128, 256}) {
        for (Mask const mask : {Mask{true, 0}, Mask{true, 37}, Mask{true, 200}, Mask{false, 0}}) {
            for (Group const group : {Group{1, 1, 0}, Group{2, 4, 3}, Group{2, 7, 5}}) {
                Case c{.shape = heads(group.heads, group.group, group.first, dim),
                       .segments = at_edges()};
                c.shape.causal = mask.causal;
                c.shape.window = mask.window;
                c.q = turn % 3 == 0 ? DType::f32 : DType::bf16;
                c.y = turn % 2 == 0 ? DType::bf16 : DType::f32;
                c.gap = turn % 5 < 2 ? 3 : 8;
                ++turn;
                compare(c, tensor_core_tolerance(c.y));
            }
        }
    }
}

/// Keys of zeros give each value the weight 1, which no rounding changes: what remains are f32 sums
/// of at most 640 values below 5. A key that is lost, seen too early or seen twice moves some
/// column by about 2 / 640.
TEST_P(AttentionPrefillTest, EqualKeysGiveTheMeanOfWhatIsSeen) {
    for (std::size_t const dim : Sizes{64, 80, 96, 128, 256}) {
        for (std::size_t const window : Sizes{0, 37, 200}) {
            Case c{.shape = heads(1, 1, 0, dim), .segments = at_edges(), .equal_keys = true};
            c.shape.window = window;
            compare(c, {.absolute = 640 * unit_roundoff(DType::f32) * 5.0F});
        }
    }
}

TEST_P(AttentionPrefillTest, OtherSizesAndF32CachesAgreeWithReference) {
    struct Other {
        std::size_t dim;
        DType cache;
    };
    for (Other const other : {Other{64, DType::f32}, Other{128, DType::f32}, Other{5, DType::bf16},
                              Other{72, DType::bf16}, Other{200, DType::f32}}) {
        for (bool const causal : {true, false}) {
            Case c{.shape = heads(3, 2, 1, other.dim),
                   .segments = at_edges(),
                   .q = causal ? DType::f32 : DType::bf16,
                   .cache = other.cache,
                   .gap = 3};
            c.shape.causal = causal;
            // As in attention_test.cpp.
            compare(c, {.absolute = 16 * unit_roundoff(DType::f32) *
                                    static_cast<float>(std::max<std::size_t>(other.dim, 64))});
        }
    }
}

/// A prompt that is given in chunks has the same tiles of keys: not one bit changes.
TEST_P(AttentionPrefillTest, ChunksGiveTheBitsOfTheWholePrompt) {
    for (std::size_t const dim : Sizes{64, 128, 40}) {
        for (std::size_t const window : Sizes{0, 100}) {
            Case c{.shape = heads(2, 2, 0, dim),
                   .segments = {{.row = 3, .tokens = 230, .cache_row = 9}}};
            c.shape.window = window;
            Operands o = operands(c);
            std::vector<std::vector<Segment>> chunks;
            for (std::size_t done = 0, tokens = 1; done < 230; done += tokens, tokens *= 3) {
                tokens = std::min(tokens, 230 - done);
                chunks.push_back(
                    {{.row = 3 + done, .tokens = tokens, .first_position = done, .cache_row = 9}});
            }
            Rows whole = prefill(*backend, c, o, {c.segments});
            Rows parts = prefill(*backend, c, o, chunks);
            EXPECT_EQ(whole.bytes(), parts.bytes()) << dim << ", window " << window;
        }
    }
}

/// A vision encoder has no cache: each picture's queries see its own keys, and all three are
/// columns of one tensor, whose rows begin at multiples of 16 bytes when `spare` fills the gap
/// between them.
TEST_P(AttentionPrefillTest, KeysAndValuesMayStandBesideTheQueries) {
    constexpr std::size_t pictures = 3, tokens = 65, count = 3;
    for (DType const dtype : activation_dtypes) {
        for (std::size_t const dim : Sizes{16, 64, 80, 128}) {
            std::size_t const width = count * dim;
            std::size_t const spare = dim == 80 ? 0 : 8 - Matrix::gap;
            Matrix const qkv = random(pictures * tokens, 3 * width + spare, dtype);
            auto const part = [&](std::size_t i) { return qkv.view().cols_from(i * width, width); };
            AttentionShape shape = heads(count, 1, 0, dim);
            shape.causal = false;
            std::vector<Segment> segments;
            for (std::size_t row = 0; row < qkv.rows(); row += tokens) {
                segments.push_back({.row = row, .tokens = tokens, .cache_row = row});
            }
            auto const attend = [&](Backend& place) {
                Matrix y(qkv.rows(), width, dtype);
                place.attention_prefill(part(0), part(1), part(2), segments_on(place, segments),
                                        shape, y.view());
                return y;
            };
            // f32 is not rounded on its way: as in attention_test.cpp.
            auto const tolerance =
                dtype == DType::bf16
                    ? tensor_core_tolerance(dtype)
                    : Tolerance{.absolute = 16 * unit_roundoff(dtype) * static_cast<float>(dim)};
            expect_close(attend(*backend), attend(*reference), tolerance);
        }
    }
}

TEST_P(AttentionPrefillTest, RefusesAWindowWithoutOrder) {
    Case c{.shape = heads(1, 1, 0, 8), .segments = {}};
    c.shape.causal = false;
    c.shape.window = 5;
    Operands o = operands(c);
    EXPECT_THROW(prefill(*backend, c, o, {c.segments}), LogicError);
}

INSTANTIATE_TEST_SUITE_P(Backends, AttentionPrefillTest, ::testing::ValuesIn(backends_under_test()),
                         name_of_backend);

}  // namespace
}  // namespace tesserank::kernels
