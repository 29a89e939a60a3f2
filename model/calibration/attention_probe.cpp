#include "model/calibration/compute_probe.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

namespace tesserank::model::calibration {
namespace {

using kernels::Segment;
using Phase = Step::Phase;

class AttentionProbe final : public ComputeProbe {
  public:
    explicit AttentionProbe(Task<AttentionWork> const& task)
        : ComputeProbe(task.busy, task.work.rows), task_{task} {
        auto const& work = task_.work;
        shape_ = {.query_heads = work.query_heads,
                  .kv_heads = work.kv_heads,
                  .head_dim = work.head_dim,
                  .queries_per_kv = (work.query_heads + work.kv_heads - 1) / work.kv_heads,
                  .first_query = 0,
                  .scale = 1.0F / std::sqrt(static_cast<float>(work.head_dim)),
                  .window = 0};
    }

    void add_to(MachinePoints& points) const override {
        if (measured()) points.attentions.push_back({task_, seconds()});
    }

  private:
    void prepare(Bench& bench, std::size_t rows) override {
        auto& work = task_.work;
        work.rows = rows;
        std::size_t const kv_width = work.kv_heads * work.head_dim;
        std::size_t const token_bytes = kv_width * kernels::size_of(work.cache);
        cache_rows_ = std::max<std::size_t>(1, bench.cold_bytes() / 2 / token_bytes);
        // The longest sequence of a prefill is nearly twice as long as its mean context.
        work.context = std::min(work.context, std::max<std::size_t>(1, cache_rows_ / 2));
        place_sequences();
        auto const list = std::as_bytes(std::span(segments_));
        auto const place =
            bench.warm(2, kernels::DType::f32, segments_.size(), sizeof(Segment) / sizeof(float));
        bench.backend().copy_from_host(list, place.data);
        listed_ = {.list = {reinterpret_cast<Segment const*>(place.data), segments_.size()},
                   .longest = longest_,
                   .context = longest_context()};
        query_ = bench.warm(0, kernels::DType::f32, rows, work.query_heads * work.head_dim);
        mixed_ = bench.warm(1, work.cache, rows, work.query_heads * work.head_dim);
    }

    /// As many sequences as it takes for the rows to see the wished context on average: one token
    /// each in decode; in prefill pieces of a prompt, a first one where the context allows no more.
    void place_sequences() {
        auto const& work = task_.work;
        std::size_t const longest =
            work.phase == Phase::decode ? 1 : std::min(work.rows, 2 * work.context - 1);
        longest_ = longest;
        segments_.clear();
        std::size_t used = 0;
        for (std::size_t row = 0; row < work.rows;) {
            std::size_t const tokens = std::min(longest, work.rows - row);
            std::size_t const first = work.context - (tokens + 1) / 2;
            if (used + first + tokens > cache_rows_) used = 0;
            segments_.push_back({row, tokens, first, used});
            used += first + tokens;
            row += tokens;
        }
        cache_rows_ = std::min(cache_rows_, longest_use());
    }

    std::size_t longest_use() const {
        std::size_t last = 0;
        for (auto const& segment : segments_) {
            last = std::max(last, segment.cache_row + segment.first_position + segment.tokens);
        }
        return last;
    }

    std::size_t longest_context() const {
        std::size_t most = 0;
        for (auto const& segment : segments_) {
            most = std::max(most, segment.first_position + segment.tokens);
        }
        return most;
    }

    void run(Bench& bench) override {
        auto const& work = task_.work;
        std::size_t const width = work.kv_heads * work.head_dim;
        auto const keys = bench.cold(work.cache, cache_rows_, width);
        auto const values = bench.cold(work.cache, cache_rows_, width);
        if (work.phase == Phase::decode) {
            bench.backend().attention_decode(query_, keys, values, listed_, shape_, mixed_);
        } else {
            bench.backend().attention_prefill(query_, keys, values, listed_, shape_, mixed_);
        }
    }

    Task<AttentionWork> task_;
    kernels::AttentionShape shape_;
    std::size_t cache_rows_ = 0;
    std::vector<Segment> segments_;
    std::size_t longest_ = 0;
    kernels::Segments listed_;  ///< the same for operations
    kernels::TensorView query_, mixed_;
};

}  // namespace

std::unique_ptr<Probe> make_attention_probe(Task<AttentionWork> const& task) {
    return std::make_unique<AttentionProbe>(task);
}

}  // namespace tesserank::model::calibration
