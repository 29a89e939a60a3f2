#pragma once

#include "kernels/random.hpp"
#include "kernels/reference/reference_backend.hpp"
#include "kernels/resident_decode.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace tesserank::test {

/// The reference backend as if it were a device: what resident decoding asks for, in plain loops.
/// Nothing is queued, so that a recording is the work itself, done again by each replay, and what
/// lands is what there was when the landing started.
class ResidentReference final : public kernels::reference::ReferenceBackend,
                                public kernels::ResidentDecode {
    using TokenLogit = kernels::TokenLogit;
    using TokenLogprob = kernels::TokenLogprob;
    template <class T>
    using DeviceSpan = kernels::DeviceSpan<T>;

  public:
    kernels::Buffer allocate(std::size_t bytes) override {
        EXPECT_FALSE(replaying_) << "a recording that allocates";
        allocated += bytes;
        auto buffer = ReferenceBackend::allocate(bytes);
        if (!buffer) return buffer;
        held += bytes;
        most_held = std::max(most_held, held);
        inner_[buffer.get()] = buffer.get_deleter();
        auto const release = [](void* self, std::byte* memory, std::size_t size) noexcept {
            auto& backend = *static_cast<ResidentReference*>(self);
            backend.held -= size;
            auto const inner = backend.inner_.extract(memory).mapped();
            inner.release(inner.context, memory, size);
        };
        return {buffer.release(), kernels::BufferDeleter{release, this, bytes}};
    }
    void copy_from_host(std::span<std::byte const> source, std::byte* destination) override {
        EXPECT_FALSE(replaying_) << "a recording that reads host memory";
        ReferenceBackend::copy_from_host(source, destination);
    }
    void synchronize() override { EXPECT_FALSE(replaying_) << "a recording that waits"; }

    ResidentDecode* resident_decode() override { return this; }
    using ReferenceBackend::top_logits;

    std::unique_ptr<kernels::Recording> record(std::function<void()> const& work) override {
        ++recordings;
        return std::make_unique<Again>(*this, work);
    }
    std::unique_ptr<kernels::Landing> make_landing(std::size_t bytes) override {
        return std::make_unique<Copied>(bytes);
    }

    void top_logits(kernels::ConstTensorView logits, std::size_t count, std::int32_t first_id,
                    DeviceSpan<TokenLogit> top) override {
        std::size_t const best = std::min(count, logits.cols);
        std::vector<TokenLogit> found(logits.rows * best);
        std::vector<float> sums(logits.rows);
        ReferenceBackend::top_logits(logits, best, found, sums);
        for (std::size_t b = 0; b < logits.rows; ++b) {
            for (std::size_t i = 0; i < count; ++i) {
                auto& place = top.data[b * (count + 1) + i];
                place = i < best ? found[b * best + i] : TokenLogit{-1 - first_id, 0.0F};
                place.token += first_id;
            }
            top.data[b * (count + 1) + count] = {-1, sums[b]};
        }
    }

    void choose(kernels::ChoiceSource const& source, kernels::DecodeTable const& table,
                DeviceSpan<kernels::DecodeOutput> chosen, std::size_t top_count,
                DeviceSpan<TokenLogprob> top) override {
        kernels::require(chosen.size == table.rows.size, "one choice for each row is needed");
        for (std::size_t b = 0; b < chosen.size; ++b) {
            chosen.data[b] = {-1, 0.0F};
            if (table.rows.data[b].ended != 0) continue;
            auto const best =
                source.logits.data != nullptr
                    ? choose_from(source.logits.rows_from(b, 1), table, b, top_count)
                    : choose_from_candidates(source, chosen.size, table, b, top_count);
            chosen.data[b] = {best.front().token, best.front().logprob};
            if (!std::isfinite(best.front().logprob)) chosen.data[b].token = -1;
            std::copy(best.begin() + 1, best.end(), top.data + b * top_count);
        }
    }

    void advance(DeviceSpan<kernels::DecodeOutput const> chosen,
                 kernels::DecodeTable const& table) override {
        ++steps;
        for (std::size_t b = 0; b < table.rows.size; ++b) {
            auto& row = table.rows.data[b];
            if (row.ended != 0) {
                expect_no_part_in_steps(table, b);
                continue;
            }
            std::int32_t const token = chosen.data[b].token;
            ++row.chosen;
            auto const* const stops = table.stop_ids.data + row.first_stop;
            bool const stopped = std::find(stops, stops + row.stops, token) != stops + row.stops;
            row.ended = token < 0 || stopped || row.chosen >= row.most_chosen ? 1 : 0;
            table.ids.data[b] = std::max(token, 0);
            if (table.seen.size > 0 && token >= 0) {
                auto const id = static_cast<std::size_t>(token);
                table.seen.data[b * words_of(table) + id / 32] |= 1U << (id % 32);
            }
            move_on(table.segments.data[b], row.ended != 0);
            if (b >= table.first_own && b - table.first_own < table.own.size) {
                move_on(table.own.data[b - table.first_own], row.ended != 0);
            }
            turn(table, b, table.segments.data[b].first_position);
        }
    }

    std::size_t allocated = 0, recordings = 0, steps = 0;
    std::size_t held = 0, most_held = 0;  ///< bytes at the same time

  private:
    class Again final : public kernels::Recording {
      public:
        Again(ResidentReference& device, std::function<void()> work)
            : device_{device}, work_{std::move(work)} {}
        void replay() override {
            device_.replaying_ = true;
            work_();
            device_.replaying_ = false;
        }

      private:
        ResidentReference& device_;
        std::function<void()> work_;
    };

    class Copied final : public kernels::Landing {
      public:
        explicit Copied(std::size_t bytes) : room_{bytes} {}
        void start(std::byte const* source, std::size_t bytes) override {
            kernels::require(bytes <= room_ && !under_way_, "a landing that is taken");
            bytes_.assign(source, source + bytes);
            under_way_ = true;
        }
        std::span<std::byte const> wait() override {
            kernels::require(under_way_, "nothing is to land");
            under_way_ = false;
            return bytes_;
        }

      private:
        std::size_t room_;
        std::vector<std::byte> bytes_;
        bool under_way_ = false;
    };

    static std::size_t words_of(kernels::DecodeTable const& table) {
        return table.seen.size / table.rows.size;
    }

    static void move_on(kernels::Segment& segment, bool ended) {
        segment.tokens = ended ? 0 : 1;
        if (!ended) ++segment.first_position;
    }

    static void expect_no_part_in_steps(kernels::DecodeTable const& table, std::size_t b) {
        EXPECT_EQ(table.segments.data[b].tokens, 0U);
        if (b < table.first_own || b - table.first_own >= table.own.size) return;
        EXPECT_EQ(table.own.data[b - table.first_own].tokens, 0U);
    }

    static void turn(kernels::DecodeTable const& table, std::size_t b, std::size_t position) {
        float const* const frequencies = table.frequencies.row<float>(table.rows.data[b].turn);
        float* const row = table.cos_sin.row<float>(b);
        std::size_t const half = table.cos_sin.cols / 2;
        for (std::size_t i = 0; i < half; ++i) {
            float const angle = static_cast<float>(position) * frequencies[i];
            row[i] = std::cos(angle) * table.rotary_scale;
            row[half + i] = std::sin(angle) * table.rotary_scale;
        }
    }

    static kernels::SamplingParams params_of(kernels::DecodeTable const& table, std::size_t b,
                                             std::vector<std::int32_t>& seen) {
        auto const& row = table.rows.data[b];
        for (std::size_t id = 0; table.seen.size > 0 && id < 32 * words_of(table); ++id) {
            if ((table.seen.data[b * words_of(table) + id / 32] >> (id % 32) & 1U) != 0) {
                seen.push_back(static_cast<std::int32_t>(id));
            }
        }
        return {.temperature = row.temperature,
                .top_k = row.top_k,
                .top_p = row.top_p,
                .min_p = row.min_p,
                .repetition_penalty = row.repetition_penalty,
                .uniform = kernels::uniform_draw(row.seed, row.stream, row.sample, row.chosen),
                .seen = seen};
    }

    /// The chosen token, then the most likely ones.
    std::vector<TokenLogprob> choose_from(kernels::ConstTensorView logits,
                                          kernels::DecodeTable const& table, std::size_t b,
                                          std::size_t top_count) {
        std::vector<std::int32_t> seen;
        auto const params = params_of(table, b, seen);
        std::vector<TokenLogprob> best(1 + top_count);
        sample(logits, {&params, 1}, std::span(best).first(1));
        top_log_probabilities(logits, std::span(best).subspan(1));
        return best;
    }

    std::vector<TokenLogprob> choose_from_candidates(kernels::ChoiceSource const& source,
                                                     std::size_t rows,
                                                     kernels::DecodeTable const& table,
                                                     std::size_t b, std::size_t top_count) {
        kernels::require(table.rows.data[b].repetition_penalty == 1.0F,
                         "candidates with a penalty");
        std::map<std::int32_t, float> by_token;
        double sum = 0.0;
        for (std::size_t part = 0; part < source.parts; ++part) {
            auto const* const list =
                source.candidates.data + (part * rows + b) * (source.per_part + 1);
            sum += std::exp(static_cast<double>(list[source.per_part].logit));
            for (std::size_t i = 0; i < source.per_part; ++i) {
                auto const& candidate = list[i];
                if (candidate.token >= 0) by_token[candidate.token] = candidate.logit;
            }
        }
        std::vector<std::int32_t> tokens;
        std::vector<float> logits;
        for (auto const& [token, logit] : by_token) {
            tokens.push_back(token);
            logits.push_back(logit);
        }
        auto best = choose_from(
            kernels::view_of(static_cast<float const*>(logits.data()), 1, logits.size()), table, b,
            std::min(top_count, logits.size()));
        for (auto& token : best) {
            auto const at = static_cast<std::size_t>(token.token);
            token = {tokens[at], logits[at] - static_cast<float>(std::log(sum))};
        }
        return best;
    }

    bool replaying_ = false;
    std::map<std::byte*, kernels::BufferDeleter> inner_;  ///< small and large memory differ
};

}  // namespace tesserank::test
