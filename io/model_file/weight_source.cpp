#include "io/model_file/weight_source.hpp"

#include "io/model_file/background_read.hpp"
#include "io/model_file/cooperative_load.hpp"
#include "io/model_file/direct_load.hpp"
#include "io/model_file/format.hpp"
#include "io/model_file/placing.hpp"
#include "io/model_file/stopwatch.hpp"
#include "kernels/error.hpp"
#include "parallel/agree.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace tesserank::io {
namespace {

using kernels::InputError;
using model::WeightRequest;

/// The largest of all ranks' values, to a nanosecond.
double slowest_of(double seconds, parallel::MpiCommunicator& ranks) {
    return -1e-9 * static_cast<double>(ranks.all_min(std::llround(seconds * -1e9)));
}

}  // namespace

Hdf5WeightSource::Hdf5WeightSource(ModelIndex index, parallel::MpiCommunicator& ranks,
                                   kernels::Backend& backend, LoadOptions options)
    : index_(std::move(index)),
      ranks_{ranks},
      backend_{backend},
      options_(std::move(options)),
      staging_bytes_(static_cast<std::size_t>(ranks.size()), options_.staging_bytes),
      reading_threads_{spare_reading_threads(ranks)} {
    for (auto const& tensor : index_.tensors) {
        infos_[tensor.name] = {tensor.dtype, tensor.shape};
        stored_[tensor.name] = &tensor;
    }
    if (options_.nodes.empty()) options_.nodes = ranks_.nodes();
    kernels::require(options_.nodes.size() == static_cast<std::size_t>(ranks_.size()),
                     "one node for each rank is needed");
    report_.open_seconds = seconds_of([this] {
        parallel::agree(ranks_, [this] {
            file_ = std::make_unique<InputFile const>(index_.path);
            if (file_->bytes() == index_.file_bytes) return;
            throw InputError(index_.path + ": has " + std::to_string(file_->bytes()) +
                             " bytes here, but " + std::to_string(index_.file_bytes) +
                             " on rank 0: every rank must see the same file");
        });
    });
}

Hdf5WeightSource::~Hdf5WeightSource() = default;

Hdf5WeightSource::WishesByTensor Hdf5WeightSource::check(
    std::span<WeightRequest const> requests) const {
    WishesByTensor wishes;
    for (auto const& request : requests) {
        auto const found = stored_.find(request.tensor);
        if (found == stored_.end()) {
            throw InputError(index_.path + ": tensor " + request.tensor + " is missing");
        }
        check_request(request, *found->second, ranks_.rank(), ranks_.size());
        wishes[found->second].push_back(&request);
    }
    return wishes;
}

std::size_t bounded_staging(std::size_t bytes, std::size_t wanted) {
    return std::min(bytes, std::max(wanted, most_block_bytes));
}

void Hdf5WeightSource::bound_staging(std::size_t bytes) {
    std::vector<std::size_t> wanted(staging_bytes_.size());
    std::vector<std::size_t> const each(wanted.size(), sizeof bytes);
    ranks_.all_gather(std::as_bytes(std::span(&bytes, 1)), each,
                      std::as_writable_bytes(std::span(wanted)));
    std::ranges::transform(staging_bytes_, wanted, staging_bytes_.begin(), bounded_staging);
}

void Hdf5WeightSource::load(std::span<WeightRequest const> requests) {
    WishesByTensor wishes;
    parallel::agree(ranks_, [&] { wishes = check(requests); });
    LoadRounds rounds(wishes, staging_bytes_, options_.nodes);
    // One rank has nobody to exchange anything with.
    if (options_.mode == LoadMode::direct || ranks_.size() == 1) {
        return load_directly(rounds.blocks(), wishes);
    }
    load_directly(load_cooperatively(std::move(rounds)), wishes);
}

/// Returns the blocks that are left to direct reading. Its buffers are gone by then.
std::vector<Block> Hdf5WeightSource::load_cooperatively(LoadRounds rounds) {
    CooperativeLoad::Stop stop;
    if (options_.mode == LoadMode::automatic) {
        stop = [this](LoadMeasure const& measure) { return stops(measure); };
    }
    return CooperativeLoad(
               std::move(rounds),
               {.file = *file_,
                .ranks = ranks_,
                .backend = backend_,
                .staging_bytes = staging_bytes_[static_cast<std::size_t>(ranks_.rank())],
                .reading_threads = reading_threads_},
               report_)
        .run(stop);
}

/// Each rank for itself; the measure of the slowest counts.
bool Hdf5WeightSource::stops(LoadMeasure const& measure) const {
    auto const mine = estimate_load(measure);
    return options_.prefers_direct(
        {.cooperative_seconds = slowest_of(mine.cooperative_seconds, ranks_),
         .direct_seconds = slowest_of(mine.direct_seconds, ranks_)});
}

/// What this rank needs of these blocks.
void Hdf5WeightSource::load_directly(std::span<Block const> blocks, WishesByTensor const& wishes) {
    parallel::agree(ranks_, [&] {
        std::vector<Block> mine;
        std::ranges::copy_if(blocks, std::back_inserter(mine), [&](Block const& block) {
            return bytes_wanted(block, wishes.at(block.tensor), ranks_.rank()) > 0;
        });
        io::load_directly(mine, wishes,
                          {.file = *file_,
                           .backend = backend_,
                           .rank = ranks_.rank(),
                           .staging_bytes = staging_bytes_[static_cast<std::size_t>(ranks_.rank())],
                           .reading_threads = std::max(reading_threads_, 1)},
                          report_);
    });
}

}  // namespace tesserank::io
