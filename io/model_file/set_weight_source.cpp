#include "io/model_file/set_weight_source.hpp"

#include "io/model_file/background_read.hpp"
#include "io/model_file/direct_load.hpp"
#include "io/model_file/placing.hpp"
#include "io/model_file/stopwatch.hpp"
#include "kernels/error.hpp"
#include "parallel/agree.hpp"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

namespace tesserank::io {
namespace {

using kernels::InputError;
using model::Region;
using model::WeightRequest;
using parallel::Range;

bool holds(Range whole, Range part) {
    return part.begin >= whole.begin && part.end() <= whole.end();
}

/// Where a region lies in regions of the same tensor that stand one below the other; nullopt where
/// none of them has it.
std::optional<Region> place_in(std::span<Region const> pieces, Region const& region) {
    std::size_t rows_above = 0;
    for (auto const& held : pieces) {
        if (holds(held.rows, region.rows) && holds(held.cols, region.cols)) {
            return Region{{rows_above + region.rows.begin - held.rows.begin, region.rows.count},
                          {region.cols.begin - held.cols.begin, region.cols.count}};
        }
        rows_above += held.rows.count;
    }
    return std::nullopt;
}

void check_ranks(SetIndex const& set, int ranks) {
    if (set.ranks == ranks) return;
    throw InputError(
        set.folder + ": is a set for " + std::to_string(set.ranks) + " ranks, but this job has " +
        std::to_string(ranks) + ". Start " + std::to_string(set.ranks) +
        " ranks, or convert the model again with --ranks " + std::to_string(ranks) + ".");
}

}  // namespace

SetWeightSource::SetWeightSource(ModelIndex index, parallel::MpiCommunicator& ranks,
                                 kernels::Backend& backend, LoadOptions options)
    : set_{index.set},
      ranks_{ranks},
      backend_{backend},
      staging_bytes_{options.staging_bytes},
      // All ranks read at once and exchange nothing: one thread in any case.
      reading_threads_{std::max(spare_reading_threads(ranks), 1)} {
    for (auto const& tensor : set_->tensors) {
        infos_[tensor.name] = {tensor.dtype, tensor.shape};
        whole_[tensor.name] = &tensor;
    }
    report_.open_seconds = seconds_of([&] {
        parallel::agree(ranks_, [&] {
            check_ranks(*set_, ranks_.size());
            own_ = open_part(*set_, SetIndex::file_of_rank(ranks_.rank()));
            own_file_ = std::make_unique<InputFile const>(own_.path);
        });
    });
    for (auto const& tensor : own_.tensors) pieces_[tensor.name] = &tensor;
    shared_.emplace(std::move(index), ranks_, backend_, std::move(options));
}

SetWeightSource::~SetWeightSource() = default;

void SetWeightSource::bound_staging(std::size_t bytes) {
    staging_bytes_ = bounded_staging(staging_bytes_, bytes);
    shared_->bound_staging(bytes);
}

void SetWeightSource::load(std::span<WeightRequest const> requests) {
    std::vector<WeightRequest> shared;
    std::vector<WeightRequest> own;
    for (auto const& request : requests) {
        (shared_->tensors().contains(request.tensor) ? shared : own).push_back(request);
    }
    parallel::agree(ranks_, [&] { load_own(own); });
    shared_->load(shared);
}

void SetWeightSource::load_own(std::span<WeightRequest const> requests) {
    std::deque<WeightRequest> translated;  // which stay where they are
    std::map<StoredTensor const*, Wishes> wishes;
    std::vector<Block> blocks;
    for (auto const& request : requests) {
        auto const whole = whole_.find(request.tensor);
        if (whole == whole_.end()) {
            throw InputError(set_->folder + ": tensor " + request.tensor + " is missing");
        }
        check_request(request, *whole->second, ranks_.rank(), ranks_.size());
        if (is_empty(request.regions[static_cast<std::size_t>(ranks_.rank())])) continue;
        auto const& mine = translated.emplace_back(own_request(request));
        wishes[pieces_.at(request.tensor)].push_back(&mine);
    }
    for (auto const& [tensor, of_tensor] : wishes) {
        std::ranges::copy_if(blocks_of(*tensor), std::back_inserter(blocks),
                             [&](Block const& b) { return bytes_wanted(b, of_tensor, 0) > 0; });
    }
    std::ranges::sort(blocks, {}, [](Block const& block) { return block.file_offset(); });
    load_directly(blocks, wishes,
                  {.file = *own_file_,
                   .backend = backend_,
                   .rank = 0,
                   .staging_bytes = staging_bytes_,
                   .reading_threads = reading_threads_},
                  report_);
}

/// The request as one for this rank's piece alone.
WeightRequest SetWeightSource::own_request(WeightRequest const& request) const {
    auto const& region = request.regions[static_cast<std::size_t>(ranks_.rank())];
    auto const found = pieces_.find(request.tensor);
    auto const place =
        found == pieces_.end() ? std::nullopt : place_in(found->second->regions, region);
    if (!place) {
        throw InputError(own_.path + ": has not the part of tensor " + request.tensor +
                         " that the plan gives to this rank. Convert the model again.");
    }
    if (found->second->dtype != whole_.at(request.tensor)->dtype) {
        throw InputError(own_.path + ": tensor " + request.tensor + " is " +
                         std::string(kernels::name_of(found->second->dtype)) + ", but " +
                         std::string(kernels::name_of(whole_.at(request.tensor)->dtype)) +
                         " in the set's list. Convert the model again.");
    }
    return {request.tensor, {*place}, request.destination};
}

LoadReport SetWeightSource::report() const { return sum_of(report_, shared_->report()); }

std::unique_ptr<FileWeights> open_weights(ModelIndex const& index, parallel::MpiCommunicator& ranks,
                                          kernels::Backend& backend, LoadOptions options) {
    if (index.set) {
        return std::make_unique<SetWeightSource>(index, ranks, backend, std::move(options));
    }
    return std::make_unique<Hdf5WeightSource>(index, ranks, backend, std::move(options));
}

}  // namespace tesserank::io
