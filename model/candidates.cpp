#include "model/candidates.hpp"

#include "kernels/error.hpp"
#include "model/forward_memory.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <span>
#include <variant>

namespace tesserank::model {
namespace {

using kernels::TokenLogit;
using parallel::Activation;
using parallel::AnyActivation;
using parallel::Range;

struct ShareOf {
    int rank;
    LogitShare operator()(Activation<parallel::HiddenSharded> const& x) const {
        return {{0, x.local.rows}, x.layout.cut.of(rank)};
    }
    LogitShare operator()(Activation<parallel::BatchSharded> const& x) const {
        return {x.layout.cut.of(rank), {0, x.local.cols}};
    }
    LogitShare operator()(Activation<parallel::OnRank> const& x) const {
        return {{0, x.layout.rank == rank ? x.layout.rows : 0}, {0, x.local.cols}};
    }
    LogitShare operator()(auto const& /*other*/) const {
        throw kernels::LogicError("these logits need no exchange");
    }
};

/// This rank's message: the candidates of its rows, then their sums.
std::vector<std::byte> message(kernels::Backend& backend, kernels::ConstTensorView logits,
                               Range columns, std::size_t count) {
    std::size_t const best = std::min(count, columns.count);
    std::vector<TokenLogit> top(logits.rows * best);
    std::vector<float> sums(logits.rows);
    if (logits.rows > 0) backend.top_logits(logits, best, top, sums);
    for (auto& candidate : top) candidate.token += static_cast<std::int32_t>(columns.begin);
    std::vector<std::byte> bytes(candidate_bytes(logits.rows, columns.count, count));
    std::size_t const first = top.size() * sizeof(TokenLogit);
    if (first > 0) std::memcpy(bytes.data(), top.data(), first);
    if (!sums.empty()) std::memcpy(bytes.data() + first, sums.data(), sums.size() * sizeof(float));
    return bytes;
}

/// log(e^a + e^b)
float add_logs(float a, float b) {
    if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<float>::quiet_NaN();
    float const larger = std::max(a, b), smaller = std::min(a, b);
    if (std::isinf(smaller)) return larger;
    return larger + std::log1p(std::exp(smaller - larger));
}

/// Collects the messages of all ranks by row.
class Join {
  public:
    explicit Join(std::size_t rows)
        : found_(rows), sums_(rows, -std::numeric_limits<float>::infinity()) {}

    void add(std::span<std::byte const> bytes, LogitShare const& share, std::size_t count) {
        std::size_t const best = std::min(count, share.columns.count);
        auto const* const sums = bytes.data() + share.rows.count * best * sizeof(TokenLogit);
        for (std::size_t i = 0; i < share.rows.count; ++i) {
            auto& row = found_[share.rows.begin + i];
            std::size_t const before = row.size();
            row.resize(before + best);
            if (best > 0) {
                std::memcpy(row.data() + before, bytes.data() + i * best * sizeof(TokenLogit),
                            best * sizeof(TokenLogit));
            }
            float sum = 0.0F;
            std::memcpy(&sum, sums + i * sizeof(float), sizeof(float));
            auto& total = sums_[share.rows.begin + i];
            total = add_logs(total, sum);
        }
    }

    Candidates finish() {
        Candidates all{.rows = found_.size(),
                       .per_row = found_.empty() ? 0 : found_.front().size(),
                       .logits = {},
                       .tokens = {},
                       .log_sums = std::move(sums_)};
        for (auto& row : found_) {
            std::ranges::sort(row, {}, &TokenLogit::token);
            for (auto const& candidate : row) {
                all.logits.push_back(candidate.logit);
                all.tokens.push_back(candidate.token);
            }
        }
        return all;
    }

  private:
    std::vector<std::vector<TokenLogit>> found_;
    std::vector<float> sums_;
};

}  // namespace

std::size_t candidates_for(GenerateRequest const& request, std::size_t vocabulary) {
    auto const& sampling = request.sampling;
    if (sampling.repetition_penalty != 1.0F) return 0;
    std::size_t const deciding = sampling.temperature <= 0.0F ? 1 : sampling.top_k;
    if (deciding == 0) return 0;
    std::size_t const count = std::max(deciding, request.top_logprobs.value_or(0));
    return count > most_candidates ? 0 : std::min(count, vocabulary);
}

LogitShare logit_share(AnyActivation const& logits, int rank) {
    return std::visit(ShareOf{rank}, logits);
}

bool needs_exchange(parallel::Layout const& logits) {
    if (auto const* single = std::get_if<parallel::OnRank>(&logits))
        return single->rank != choosing_rank;
    return !std::holds_alternative<parallel::Replicated>(logits);
}

std::size_t candidate_bytes(std::size_t rows, std::size_t columns, std::size_t count) {
    return rows * (std::min(count, columns) * sizeof(TokenLogit) + sizeof(float));
}

std::size_t resident_candidate_bytes(std::size_t rows, std::size_t count) {
    return rows * (count + 1) * sizeof(TokenLogit);
}

Candidates gather_candidates(kernels::Backend& backend, parallel::MpiCommunicator& ranks,
                             AnyActivation const& logits, std::size_t count) {
    std::vector<LogitShare> shares;
    std::vector<std::size_t> bytes;
    std::size_t rows = 0;
    for (int rank = 0; rank < ranks.size(); ++rank) {
        shares.push_back(logit_share(logits, rank));
        auto const& share = shares.back();
        bytes.push_back(candidate_bytes(share.rows.count, share.columns.count, count));
        rows = std::max(rows, share.rows.end());
    }
    auto const mine = message(backend, parallel::local_of(logits),
                              shares[static_cast<std::size_t>(ranks.rank())].columns, count);
    bool const chooses = ranks.rank() == choosing_rank;
    std::vector<std::byte> all(chooses ? std::accumulate(bytes.begin(), bytes.end(), std::size_t{0})
                                       : 0);
    ranks.gather(mine, bytes, all, choosing_rank);
    if (!chooses) return {};
    Join join(rows);
    auto left = std::span<std::byte const>(all);
    for (std::size_t rank = 0; rank < shares.size(); ++rank) {
        join.add(left.first(bytes[rank]), shares[rank], count);
        left = left.subspan(bytes[rank]);
    }
    return join.finish();
}

}  // namespace tesserank::model
