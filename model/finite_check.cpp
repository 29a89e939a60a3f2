#include "model/finite_check.hpp"

#include "model/forward_memory.hpp"
#include "model/row_layout.hpp"

#include <algorithm>
#include <cmath>
#include <span>

namespace tesserank::model {
FiniteCheck::FiniteCheck(kernels::Backend& backend, std::size_t max_rows)
    : backend_{backend}, sums_{make_tensor(backend, kernels::DType::f32, max_rows, 1)} {}

void FiniteCheck::begin_batch(StaticBatch const& batch) {
    first_cache_rows_.resize(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) first_cache_rows_[i] = batch.cache_row(i);
    first_bad_.assign(batch.size(), none);
}

void FiniteCheck::begin_step(Step const& step) {
    segments_ = step.segments;
    looks_ = 0;
}

void FiniteCheck::look(std::string const& module, parallel::AnyActivation const& y, int rank) {
    std::size_t const index = looks_++;
    if (index == modules_.size()) modules_.push_back(module);
    auto const& local = parallel::local_of(y);
    if (local.rows == 0) return;
    auto const sums = sums_.view.rows_from(0, local.rows);
    backend_.square_sums(local, sums);
    host_sums_.resize(local.rows);
    backend_.copy_to_host(sums.data, std::as_writable_bytes(std::span(host_sums_)));
    std::size_t const first = rows_in(parallel::layout_of(y), local.rows, rank).begin;
    for (std::size_t row = 0; row < local.rows; ++row) {
        if (std::isfinite(host_sums_[row])) continue;
        auto& bad = first_bad_[sequence_of(first + row)];
        bad = std::min(bad, static_cast<std::uint32_t>(index));
    }
}

std::size_t FiniteCheck::sequence_of(std::size_t row) const {
    auto const behind = std::ranges::upper_bound(segments_, row, {}, &kernels::Segment::row);
    std::size_t const cache_row = std::prev(behind)->cache_row;
    auto const found = std::ranges::lower_bound(first_cache_rows_, cache_row);
    return static_cast<std::size_t>(found - first_cache_rows_.begin());
}

void FiniteCheck::share(parallel::MpiCommunicator& ranks) {
    std::size_t const sequences = first_bad_.size();
    auto const count = static_cast<std::size_t>(ranks.size());
    std::vector<std::uint32_t> all(ranks.rank() == choosing_rank ? count * sequences : 0);
    std::vector<std::size_t> const bytes(count, sequences * sizeof(std::uint32_t));
    ranks.gather(std::as_bytes(std::span(first_bad_)), bytes,
                 std::as_writable_bytes(std::span(all)), choosing_rank);
    for (std::size_t i = 0; i < all.size(); ++i) {
        auto& bad = first_bad_[i % sequences];
        bad = std::min(bad, all[i]);
    }
}

std::string FiniteCheck::culprit(std::size_t sequence) const {
    auto const bad = first_bad_[sequence];
    return bad == none ? std::string() : modules_[bad];
}

std::string not_finite_message(FiniteCheck const* check, std::size_t sequence) {
    std::string const what = "the logits are not finite (NaN or infinity)";
    if (check == nullptr) return what + ": run with --check-finite to see where that begins";
    auto const culprit = check->culprit(sequence);
    return what + ": " +
           (culprit.empty()
                ? "the outputs of all layers are, so it begins in the final norm or lm_head"
                : "that begins in the output of " + culprit);
}

}  // namespace tesserank::model
