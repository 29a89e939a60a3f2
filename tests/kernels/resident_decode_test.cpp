#include "kernels/resident_decode.hpp"

#include "kernels/random.hpp"
#include "tests/kernels/backend_test.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>

namespace tesserank::kernels {
namespace {

/// Elements in a backend's memory.
template <class T>
class OnDevice {
  public:
    OnDevice(Backend& backend, std::size_t size)
        : backend_{&backend}, buffer_{backend.allocate(size * sizeof(T))}, size_{size} {}
    OnDevice(Backend& backend, std::vector<T> const& values) : OnDevice(backend, values.size()) {
        backend.copy_from_host(std::as_bytes(std::span(values)), buffer_.get());
    }
    DeviceSpan<T> span() const { return {reinterpret_cast<T*>(buffer_.get()), size_}; }
    std::vector<T> read() const {
        std::vector<T> values(size_);
        backend_->copy_to_host(buffer_.get(), std::as_writable_bytes(std::span(values)));
        return values;
    }

  private:
    Backend* backend_;
    Buffer buffer_;
    std::size_t size_;
};

/// Rows of logits, on the host and in the backend's memory.
struct Logits {
    Logits(Backend& backend, std::size_t row_count, std::vector<float> values)
        : rows{row_count},
          cols{values.size() / row_count},
          host{std::move(values)},
          device{backend, host} {}
    ConstTensorView view() const { return view_of(device.span().data, rows, cols); }
    ConstTensorView part(std::size_t first, std::size_t count) const {
        return view().cols_from(first, count);
    }
    ConstTensorView host_row(std::size_t b) const {
        return view_of(host.data() + b * cols, 1, cols);
    }

    std::size_t rows, cols;
    std::vector<float> host;
    OnDevice<float> device;
};

/// What a DecodeTable is made of. Rows say how many stop ids of their own they have.
struct Table {
    Table(Backend& backend, std::vector<DecodeRow> const& decode_rows, std::size_t words = 0)
        : rows{backend, decode_rows}, seen{backend, decode_rows.size() * words} {}
    DecodeTable view() const {
        DecodeTable table;
        table.rows = rows.span();
        table.seen = seen.span();
        return table;
    }
    OnDevice<DecodeRow> rows;
    OnDevice<std::uint32_t> seen;
};

double uniform_of(DecodeRow const& row) {
    return uniform_draw(row.seed, row.stream, row.sample, row.chosen);
}

class ResidentDecodeTest : public BackendTest {
  protected:
    void SetUp() override {
        resident = backend->resident_decode();
        if (resident == nullptr) GTEST_SKIP() << "decoding is driven by the host here";
    }

    std::vector<float> random_logits(std::size_t size, float deviation) {
        std::normal_distribution<float> distribution(0.0F, deviation);
        std::vector<float> logits(size);
        for (float& logit : logits) logit = distribution(engine);
        return logits;
    }
    std::size_t below(std::size_t end) { return engine() % end; }
    float between(float low, float high) {
        return std::uniform_real_distribution<float>(low, high)(engine);
    }

    /// Any mixture of limits.
    DecodeRow random_row(std::size_t vocabulary) {
        DecodeRow row{.seed = engine(), .stream = engine()};
        row.chosen = static_cast<std::uint32_t>(below(1000));
        if (below(5) > 0) row.temperature = between(0.3F, 2.0F);
        if (below(2) == 0) row.top_k = static_cast<std::uint32_t>(1 + below(vocabulary + 5));
        if (below(2) == 0) row.top_p = between(0.0F, 1.0F);
        if (below(3) == 0) row.min_p = between(0.0F, 0.3F);
        if (below(3) == 0) row.repetition_penalty = between(0.7F, 1.8F);
        return row;
    }

    SamplingParams params_of(DecodeRow const& row, std::span<std::int32_t const> seen) const {
        return {.temperature = row.temperature,
                .top_k = row.top_k,
                .top_p = row.top_p,
                .min_p = row.min_p,
                .repetition_penalty = row.repetition_penalty,
                .uniform = uniform_of(row),
                .seen = seen};
    }

    TokenLogprob by_reference(ConstTensorView row, SamplingParams const& params) {
        TokenLogprob chosen;
        reference->sample(row, {&params, 1}, {&chosen, 1});
        return chosen;
    }

    /// A device's e^x differs from the host's in its last bit, so that a draw that falls on the
    /// border of two tokens, or top_p on that of two prefixes, may go either way; a wrong rule
    /// would show far from any border.
    bool may_choose(std::int32_t token, ConstTensorView row, SamplingParams params) {
        constexpr double border = 1e-6;
        double const uniform = params.uniform;
        float const top_p = params.top_p;
        for (double const p : {0.0, -border, border}) {
            for (double const u : {0.0, -border, border}) {
                params.uniform = std::clamp(uniform + u, 0.0, 1.0 - 0x1p-53);
                params.top_p = top_p < 1.0F ? top_p + static_cast<float>(p) : top_p;
                if (by_reference(row, params).token == token) return true;
            }
        }
        return false;
    }

    std::vector<DecodeOutput> choose(ChoiceSource const& source, DecodeTable const& table) {
        OnDevice<DecodeOutput> chosen(*backend, table.rows.size);
        resident->choose(source, table, chosen.span(), 0, {});
        return chosen.read();
    }

    ResidentDecode* resident = nullptr;
};

void mark(std::vector<std::uint32_t>& bits, std::size_t id) { bits[id / 32] |= 1U << (id % 32); }

void expect_logprob(float actual, float expected) {
    if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(actual));
    } else {
        EXPECT_NEAR(actual, expected, 1e-6F * (2.0F + std::abs(expected)));
    }
}

TEST_P(ResidentDecodeTest, ChoosesAsTheReferenceSamples) {
    struct Size {
        std::size_t rows, cols;
    };
    std::size_t at_a_border = 0;
    // Few rows of many tokens are shared among blocks.
    for (auto const [rows, cols] :
         {Size{24, 1}, Size{24, 2}, Size{24, 31}, Size{24, 509}, Size{24, 4099}, Size{8, 50021},
          Size{3, 50021}, Size{3, 9001}, Size{1, 50021}, Size{1, 50021}, Size{1, 50021}}) {
        std::size_t const words = (cols + 31) / 32;
        std::vector<float> values = random_logits(rows * cols, 3.0F);
        std::vector<DecodeRow> decode_rows;
        std::vector<std::uint32_t> bits;
        std::vector<std::vector<std::int32_t>> seen(rows);
        for (std::size_t b = 0; b < rows; ++b) {
            decode_rows.push_back(random_row(cols));
            decode_rows.back().ended = b % 7 == 6 ? 1 : 0;
            std::span<float> const row(values.data() + b * cols, cols);
            if (b % 3 == 1) {  // many ties
                for (float& logit : row) logit = std::round(logit * 2.0F) / 2.0F;
            }
            if (b % 8 == 2) row[below(cols)] = std::numeric_limits<float>::quiet_NaN();
            if (b % 8 == 3) row[below(cols)] = std::numeric_limits<float>::infinity();
            if (b % 8 == 4) row[below(cols)] = -std::numeric_limits<float>::infinity();
            std::vector<std::uint32_t> row_bits(words);
            for (int i = 0; i < 20; ++i) {
                seen[b].push_back(static_cast<std::int32_t>(below(cols)));
                mark(row_bits, static_cast<std::size_t>(seen[b].back()));
            }
            bits.insert(bits.end(), row_bits.begin(), row_bits.end());
        }
        Logits const logits(*backend, rows, values);
        Table table(*backend, decode_rows);
        table.seen = OnDevice<std::uint32_t>(*backend, bits);
        auto const chosen = choose({.logits = logits.view()}, table.view());
        for (std::size_t b = 0; b < rows; ++b) {
            SCOPED_TRACE(testing::Message() << "row " << b << " of " << cols);
            if (decode_rows[b].ended != 0) {
                EXPECT_EQ(chosen[b].token, -1);
                continue;
            }
            auto const row = logits.host_row(b);
            auto const params = params_of(decode_rows[b], seen[b]);
            auto const expected = by_reference(row, params);
            EXPECT_TRUE(may_choose(chosen[b].token, row, params))
                << chosen[b].token << " and not " << expected.token;
            if (chosen[b].token == expected.token) {
                expect_logprob(chosen[b].logprob, expected.logprob);
            } else {
                ++at_a_border;
            }
        }
    }
    EXPECT_LE(at_a_border, 2U);
}

/// Equal logits give each token the same part of [0, 1).
TEST_P(ResidentDecodeTest, DrawsAreThoseOfUniformDraw) {
    constexpr std::size_t rows = 40;
    constexpr std::size_t cols = 50021;
    std::vector<DecodeRow> decode_rows;
    for (std::size_t b = 0; b < rows; ++b) {
        decode_rows.push_back({.seed = (std::uint64_t{engine()} << 32) | engine(),
                               .stream = (std::uint64_t{engine()} << 32) | engine(),
                               .temperature = 1.0F,
                               .sample = static_cast<std::uint32_t>(b % 3),
                               .chosen = static_cast<std::uint32_t>(engine())});
    }
    Logits const logits(*backend, rows, std::vector<float>(rows * cols, 0.25F));
    auto const chosen = choose({.logits = logits.view()}, Table(*backend, decode_rows).view());
    for (std::size_t b = 0; b < rows; ++b) {
        double const place = uniform_of(decode_rows[b]) * static_cast<double>(cols);
        EXPECT_EQ(chosen[b].token, static_cast<std::int32_t>(place));
    }
}

TEST_P(ResidentDecodeTest, TopTokensAreThoseOfTheWholeVocabulary) {
    constexpr std::size_t rows = 3;
    for (std::size_t const cols : Sizes{1, 509, 5003}) {
        Logits const logits(*backend, rows, random_logits(rows * cols, 2.0F));
        for (std::size_t const count : {std::size_t{1}, std::min(cols, std::size_t{20}), cols}) {
            std::vector<DecodeRow> decode_rows(rows);
            decode_rows[1].ended = 1;
            Table const table(*backend, decode_rows);
            OnDevice<DecodeOutput> chosen(*backend, rows);
            OnDevice<TokenLogprob> top(*backend, rows * count);
            resident->choose({.logits = logits.view()}, table.view(), chosen.span(), count,
                             top.span());
            auto const found = top.read();
            EXPECT_EQ(found[count].token, -1) << "ended";
            for (std::size_t const b : {std::size_t{0}, std::size_t{2}}) {
                std::vector<TokenLogprob> expected(count);
                reference->top_log_probabilities(logits.host_row(b), expected);
                for (std::size_t i = 0; i < count; ++i) {
                    ASSERT_EQ(found[b * count + i].token, expected[i].token) << i;
                    expect_logprob(found[b * count + i].logprob, expected[i].logprob);
                }
            }
        }
    }
}

/// The most likely tokens of the parts of a vocabulary, cut at `ends`.
struct Candidates {
    Candidates(Backend& backend, Logits const& logits, std::vector<std::size_t> const& ends,
               std::size_t count)
        : parts{ends.size()},
          per_part{count},
          top{backend, ends.size() * logits.rows * (count + 1)} {
        std::size_t const size = logits.rows * (count + 1);
        std::size_t first = 0;
        for (std::size_t part = 0; part < parts; ++part) {
            backend.resident_decode()->top_logits(logits.part(first, ends[part] - first), count,
                                                  static_cast<std::int32_t>(first),
                                                  top.span().from(part * size, size));
            first = ends[part];
        }
    }
    ChoiceSource source() const {
        ChoiceSource source;
        source.candidates = top.span();
        source.parts = parts;
        source.per_part = per_part;
        return source;
    }
    std::size_t parts, per_part;
    OnDevice<TokenLogit> top;
};

TEST_P(ResidentDecodeTest, CandidatesDecideAsTheWholeLogitsDo) {
    constexpr std::size_t rows = 12;
    for (std::size_t const cols : Sizes{5, 509, 4100}) {
        auto values = random_logits(rows * cols, 2.0F);
        for (std::size_t i = 0; i < values.size() / 2; ++i) values[i] = std::round(values[i]);
        values[cols] = std::numeric_limits<float>::quiet_NaN();
        for (std::size_t i = 0; i < cols; ++i) {
            values[2 * cols + i] = -std::numeric_limits<float>::infinity();
        }
        values[2 * cols + cols / 2] = 1.0F;
        Logits const logits(*backend, rows, values);
        for (std::size_t const per_part : {std::size_t{1}, std::size_t{8}, cols / 4}) {
            std::vector<DecodeRow> decode_rows;
            for (std::size_t b = 0; b < rows; ++b) {
                auto row = random_row(cols);
                row.repetition_penalty = 1.0F;
                row.top_k = static_cast<std::uint32_t>(1 + below(per_part));
                decode_rows.push_back(row);
            }
            Table const table(*backend, decode_rows);
            // One part has a single token, and one none.
            Candidates const candidates(*backend, logits, {cols / 3, cols / 3, cols - 1, cols},
                                        per_part);
            auto const chosen = choose(candidates.source(), table.view());
            auto const whole = choose({.logits = logits.view()}, table.view());
            for (std::size_t b = 0; b < rows; ++b) {
                EXPECT_EQ(chosen[b].token, whole[b].token) << "row " << b << " of " << cols;
                expect_logprob(chosen[b].logprob, whole[b].logprob);
            }
        }
    }
}

TEST_P(ResidentDecodeTest, RowsWithoutCandidatesGetNoToken) {
    TokenLogit const none{.token = -1, .logit = -std::numeric_limits<float>::infinity()};
    TokenLogit const one{.token = 7, .logit = 1.0F};
    // Two candidates of each row, and the log of its sum.
    OnDevice<TokenLogit> const candidates(
        *backend, std::vector<TokenLogit>{none, none, none, one, none, one, none, none, none});
    Table const table(*backend, {{.temperature = 1.0F}, {.temperature = 1.0F}, {}});
    auto const chosen = choose(
        {.candidates = {candidates.span().data, candidates.span().size}, .parts = 1, .per_part = 2},
        table.view());
    EXPECT_EQ(chosen[0].token, -1);
    EXPECT_EQ(chosen[1].token, 7);
    EXPECT_EQ(chosen[2].token, -1) << "greedy";
}

TEST_P(ResidentDecodeTest, PartsWithFewTokensFillUp) {
    Logits const logits(*backend, 1, {1, 3, 2});
    OnDevice<TokenLogit> top(*backend, 6);
    resident->top_logits(logits.view(), 5, 100, top.span());
    auto const found = top.read();
    std::vector<int> tokens;
    for (std::size_t i = 0; i < 5; ++i) tokens.push_back(found[i].token);
    EXPECT_EQ(tokens, (std::vector<int>{101, 102, 100, -1, -1}));
    EXPECT_NEAR(found[5].logit, std::log(std::exp(1.0F) + std::exp(2.0F) + std::exp(3.0F)), 1e-6F);
}

/// All of a DecodeTable that advance() changes, as the host would keep it.
struct HostTable {
    std::vector<DecodeRow> rows;
    std::vector<std::int32_t> ids;
    std::vector<Segment> segments, own;
    std::size_t first_own = 0;
    std::vector<std::int32_t> stop_ids;
    std::vector<std::uint32_t> seen;
    std::vector<float> cos_sin;
    std::vector<std::vector<float>> frequencies;
    float scale = 1.0F;

    void advance(std::size_t b, std::int32_t token) {
        auto& row = rows[b];
        if (row.ended != 0) return;
        ++row.chosen;
        ids[b] = token;
        std::size_t const words = seen.size() / rows.size();
        if (token >= 0) {
            seen[b * words + static_cast<std::size_t>(token) / 32] |= 1U << (token % 32);
        }
        auto const stops = std::span(stop_ids).subspan(row.first_stop, row.stops);
        bool const stopped = std::find(stops.begin(), stops.end(), token) != stops.end();
        if (stopped || row.chosen == row.most_chosen) {
            row.ended = 1;
            segments[b].tokens = 0;
        } else {
            ++segments[b].first_position;
            turn_to(b, segments[b].first_position, frequencies[row.turn]);
        }
        if (b < first_own || b >= first_own + own.size()) return;
        own[b - first_own].tokens = segments[b].tokens;
        own[b - first_own].first_position = segments[b].first_position;
    }
    void turn_to(std::size_t b, std::size_t position, std::vector<float> const& by) {
        for (std::size_t i = 0; i < by.size(); ++i) {
            float const angle = static_cast<float>(position) * by[i];
            cos_sin[b * 2 * by.size() + i] = std::cos(angle) * scale;
            cos_sin[(b * 2 + 1) * by.size() + i] = std::sin(angle) * scale;
        }
    }
};

/// A HostTable's copy in a backend's memory.
struct DeviceTable {
    DeviceTable(Backend& backend, HostTable const& host)
        : rows{backend, host.rows},
          ids{backend, host.ids},
          segments{backend, host.segments},
          own{backend, host.own},
          stop_ids{backend, host.stop_ids},
          seen{backend, host.seen},
          cos_sin{backend, host.cos_sin},
          frequencies{backend, joined(host.frequencies)} {
        view.rows = rows.span();
        view.ids = ids.span();
        view.segments = segments.span();
        view.own = own.span();
        view.first_own = host.first_own;
        view.stop_ids = stop_ids.span();
        view.seen = seen.span();
        view.frequencies = view_of(frequencies.span().data, host.frequencies.size(),
                                   host.frequencies.front().size());
        view.rotary_scale = host.scale;
        view.cos_sin =
            view_of(cos_sin.span().data, host.rows.size(), 2 * host.frequencies.front().size());
    }
    static std::vector<float> joined(std::vector<std::vector<float>> const& rows) {
        std::vector<float> all;
        for (auto const& row : rows) all.insert(all.end(), row.begin(), row.end());
        return all;
    }
    void expect_equal(HostTable const& host) const {
        auto const row_numbers = [](DecodeRow const& row) {
            return std::vector<std::uint64_t>{row.chosen, row.ended, row.seed, row.turn, row.stops};
        };
        auto const segment_numbers = [](Segment const& segment) {
            return std::vector<std::size_t>{segment.row, segment.tokens, segment.first_position,
                                            segment.cache_row};
        };
        auto const there = rows.read();
        auto const moved = segments.read();
        for (std::size_t b = 0; b < host.rows.size(); ++b) {
            EXPECT_EQ(row_numbers(there[b]), row_numbers(host.rows[b])) << b;
            EXPECT_EQ(segment_numbers(moved[b]), segment_numbers(host.segments[b])) << b;
        }
        auto const moved_own = own.read();
        for (std::size_t i = 0; i < host.own.size(); ++i) {
            EXPECT_EQ(segment_numbers(moved_own[i]), segment_numbers(host.own[i])) << i;
        }
        EXPECT_EQ(ids.read(), host.ids);
        EXPECT_EQ(seen.read(), host.seen);
        auto const turned = cos_sin.read();
        for (std::size_t i = 0; i < turned.size(); ++i) {
            ASSERT_NEAR(turned[i], host.cos_sin[i], 3e-7F * host.scale) << i;
        }
    }

    OnDevice<DecodeRow> rows;
    OnDevice<std::int32_t> ids;
    OnDevice<Segment> segments, own;
    OnDevice<std::int32_t> stop_ids;
    OnDevice<std::uint32_t> seen;
    OnDevice<float> cos_sin, frequencies;
    DecodeTable view;
};

constexpr std::size_t small_vocabulary = 70;

HostTable table_of_nine() {
    constexpr std::size_t rows = 9;
    HostTable host;
    host.stop_ids = {3, 5, 3, 69};
    host.frequencies = {{1.0F, 0.5F, 0.01F}, {0.9F, 0.3F, 0.001F}};
    host.scale = 1.25F;
    host.first_own = 2;
    host.seen.resize(rows * ((small_vocabulary + 31) / 32));
    host.cos_sin.resize(rows * 6);
    for (std::uint32_t b = 0; b < rows; ++b) {
        host.rows.push_back({.seed = b,
                             .stream = 40 + b,
                             .temperature = 1.1F,
                             .top_p = b % 2 == 0 ? 0.9F : 1.0F,
                             .repetition_penalty = b % 3 == 0 ? 1.3F : 1.0F,
                             .first_stop = b % 4,
                             .stops = b % 3 == 1 ? 0 : 4 - b % 4,
                             .most_chosen = 2 + 4 * b,
                             .chosen = 1,
                             .ended = b == 4 ? 1U : 0U,
                             .turn = b % 2});
        host.ids.push_back(static_cast<std::int32_t>(b));
        host.segments.push_back({.row = b,
                                 .tokens = b == 4 ? 0U : 1U,
                                 .first_position = 1000 * b,
                                 .cache_row = 77 * b});
    }
    for (std::size_t b = 2; b < 6; ++b) {
        host.own.push_back(host.segments[b]);
        host.own.back().row -= 2;
    }
    return host;
}

TEST_P(ResidentDecodeTest, AdvanceKeepsTheTableAsTheHostWould) {
    auto host = table_of_nine();
    DeviceTable const table(*backend, host);
    for (int step = 0; step < 40; ++step) {
        std::vector<DecodeOutput> outputs(host.rows.size(), {.token = -1});
        for (std::size_t b = 0; b < outputs.size(); ++b) {
            if (host.rows[b].ended != 0) continue;
            if (below(8) > 0) outputs[b].token = static_cast<std::int32_t>(below(small_vocabulary));
            host.advance(b, outputs[b].token);
        }
        OnDevice<DecodeOutput> const chosen(*backend, outputs);
        resident->advance(chosen.span(), table.view);
        table.expect_equal(host);
        if (HasFailure()) return;
    }
    for (auto const& row : host.rows) EXPECT_EQ(row.ended, 1U);
}

/// Choice and advance from one recording: the host only reads.
TEST_P(ResidentDecodeTest, AReplayedRecordingGoesOnAsTheHostWould) {
    auto host = table_of_nine();
    std::size_t const rows = host.rows.size();
    Logits const logits(*backend, rows, random_logits(rows * small_vocabulary, 1.5F));
    DeviceTable const table(*backend, host);
    OnDevice<DecodeOutput> chosen(*backend, rows);
    auto const step = [&] {
        resident->choose({.logits = logits.view()}, table.view, chosen.span(), 0, {});
        resident->advance(chosen.span(), table.view);
    };
    auto const recording = resident->record(step);
    std::vector<std::vector<std::int32_t>> seen(rows);
    for (int i = 0; i < 12; ++i) {
        recording->replay();
        auto const outputs = chosen.read();
        for (std::size_t b = 0; b < rows; ++b) {
            if (host.rows[b].ended != 0) {
                EXPECT_EQ(outputs[b].token, -1);
                continue;
            }
            auto const params = params_of(host.rows[b], seen[b]);
            EXPECT_TRUE(may_choose(outputs[b].token, logits.host_row(b), params));
            seen[b].push_back(outputs[b].token);
            host.advance(b, outputs[b].token);
        }
        table.expect_equal(host);
    }
}

TEST_P(ResidentDecodeTest, WhatIsRecordedAllocatesAndWaitsForNothing) {
    EXPECT_THROW(resident->record([&] { backend->allocate(64); }), LogicError);
    EXPECT_THROW(resident->record([&] { backend->allocate_staging(64); }), LogicError);
    EXPECT_THROW(resident->record([&] { backend->synchronize(); }), LogicError);
    EXPECT_NE(backend->allocate(64), nullptr);
    backend->synchronize();
}

/// In words and in bytes.
TEST_P(ResidentDecodeTest, LandingsHoldWhatStoodThereWhenTheyStarted) {
    constexpr std::size_t room = 70001;
    std::vector<std::byte> bytes(room);
    for (std::size_t i = 0; i < room; ++i) bytes[i] = static_cast<std::byte>(i * 37);
    Buffer const memory = backend->allocate(room);
    backend->copy_from_host(bytes, memory.get());
    auto const landing = resident->make_landing(room);
    for (std::size_t const count : Sizes{room, 0, 8, 69992, 13}) {
        landing->start(memory.get(), count);
        std::vector<std::byte> const later(count, std::byte{1});
        backend->copy_from_host(later, memory.get());
        auto const landed = landing->wait();
        EXPECT_TRUE(std::ranges::equal(landed, std::span(bytes).first(count))) << count;
        backend->copy_from_host(bytes, memory.get());
    }
}

INSTANTIATE_TEST_SUITE_P(Backends, ResidentDecodeTest, ::testing::ValuesIn(backends_under_test()),
                         name_of_backend);

}  // namespace
}  // namespace tesserank::kernels
