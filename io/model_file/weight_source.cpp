#include "io/model_file/weight_source.hpp"

#include "io/model_file/checksum.hpp"
#include "io/model_file/load_rounds.hpp"
#include "io/model_file/region.hpp"
#include "kernels/error.hpp"
#include "parallel/agree.hpp"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace tesserank::io {
namespace {

using kernels::InputError;
using kernels::require;
using kernels::TensorView;
using model::Region;
using model::WeightRequest;

bool empty(Region const& region) { return region.rows.count == 0 || region.cols.count == 0; }

void check_request(WeightRequest const& request, StoredTensor const& tensor, int rank, int ranks) {
    require(request.regions.size() == static_cast<std::size_t>(ranks),
            "one region for each rank is needed of tensor " + request.tensor);
    for (auto const& region : request.regions) {
        require(empty(region) ||
                    (region.rows.end() <= tensor.rows() && region.cols.end() <= tensor.cols()),
                "a region lies outside tensor " + request.tensor);
    }
    auto const& mine = request.regions[static_cast<std::size_t>(rank)];
    auto const& destination = request.destination;
    require(empty(mine) ||
                (destination.dtype == tensor.dtype && destination.rows == mine.rows.count &&
                 destination.cols == mine.cols.count && destination.stride >= destination.cols),
            "the destination does not fit the region of tensor " + request.tensor);
}

/// Writes consecutive elements of a request's region to their place on the device.
void deliver(kernels::Backend& backend, std::span<std::byte const> bytes,
             WeightRequest const& request, Region const& region, std::size_t width,
             ElementRun run) {
    TensorView const& destination = request.destination;
    auto const size = kernels::size_of(destination.dtype);
    auto row = run.first / width - region.rows.begin;
    auto col = run.first % width - region.cols.begin;
    while (!bytes.empty()) {
        auto const in_row = (destination.cols - col) * size;
        auto const part = destination.contiguous() ? bytes.size() : std::min(in_row, bytes.size());
        backend.copy_from_host(bytes.first(part),
                               destination.data + (row * destination.stride + col) * size);
        bytes = bytes.subspan(part);
        ++row;
        col = 0;
    }
}

/// One call of load(): the rounds, and the memory that they share.
class Loading {
  public:
    Loading(LoadRounds rounds, InputFile const& file, parallel::MpiCommunicator& ranks,
            kernels::Backend& backend)
        : rounds_(std::move(rounds)), file_{file}, ranks_{ranks}, backend_{backend} {}

    /// Collective. Returns the bytes read by this rank.
    std::size_t run() {
        while (!rounds_.done()) run_round(rounds_.next());
        return bytes_read_;
    }

  private:
    std::span<Block const> blocks_of(Round const& round, int rank) const {
        auto const range = round[static_cast<std::size_t>(rank)];
        return rounds_.blocks().subspan(range.begin, range.count);
    }
    void run_round(Round const& round);
    void read(std::span<Block const> blocks);
    void check(std::span<Block const> blocks) const;
    void pack(std::span<Block const> blocks, int rank);
    void place(Block const& block, std::span<std::byte const> bytes);
    void broadcast(Round const& round, std::span<std::byte> received);
    void unpack(Round const& round, std::size_t pieces_bytes);
    std::size_t bytes_between(Round const& round, int reader, int receiver) const;
    std::size_t bytes_to_all(Round const& round) const;

    LoadRounds rounds_;
    InputFile const& file_;
    parallel::MpiCommunicator& ranks_;
    kernels::Backend& backend_;
    std::vector<std::byte> read_, sent_, received_;
    std::size_t bytes_read_ = 0;
};

void Loading::run_round(Round const& round) {
    std::vector<std::size_t> send_bytes;
    std::vector<std::size_t> received_bytes;
    for (int rank = 0; rank < ranks_.size(); ++rank) {
        bool const self = rank == ranks_.rank();
        send_bytes.push_back(self ? 0 : bytes_between(round, ranks_.rank(), rank));
        received_bytes.push_back(self ? 0 : bytes_between(round, rank, ranks_.rank()));
    }
    auto const pieces_bytes =
        std::accumulate(received_bytes.begin(), received_bytes.end(), std::size_t{0});
    parallel::agree(ranks_, [&] {
        auto const mine = blocks_of(round, ranks_.rank());
        read(mine);
        sent_.clear();
        for (int rank = 0; rank < ranks_.size(); ++rank) pack(mine, rank);
        received_.resize(pieces_bytes + bytes_to_all(round));
    });
    auto const received = std::span(received_);
    ranks_.all_to_all(sent_, send_bytes, received.first(pieces_bytes), received_bytes);
    broadcast(round, received.subspan(pieces_bytes));
    parallel::agree(ranks_, [&] { unpack(round, pieces_bytes); });
}

void Loading::read(std::span<Block const> blocks) {
    std::size_t bytes = 0;
    for (auto const& block : blocks) bytes += block.bytes();
    read_.resize(bytes);
    read_blocks(file_, blocks, read_);
    bytes_read_ += bytes;
    check(blocks);
}

void Loading::check(std::span<Block const> blocks) const {
    auto left = std::span(read_);
    for (auto const& block : blocks) {
        if (checksum_of(left.first(block.bytes())) != block.tensor->checksums[block.index]) {
            throw InputError(file_.path() + ": " + block.describe() +
                             ": does not have its checksum: the file is damaged. Convert the "
                             "model again.");
        }
        left = left.subspan(block.bytes());
    }
}

/// Appends what `rank` needs of the blocks that were read; what this rank needs itself goes
/// straight to its place.
void Loading::pack(std::span<Block const> blocks, int rank) {
    auto left = std::span<std::byte const>(read_);
    for (auto const& block : blocks) {
        auto const bytes = left.first(block.bytes());
        left = left.subspan(block.bytes());
        if (rank == ranks_.rank()) {
            place(block, bytes);
            continue;
        }
        if (rounds_.goes_to_all(block)) continue;
        auto const run = run_of(block);
        auto const size = kernels::size_of(block.tensor->dtype);
        for (auto const* const request : rounds_.wishes_for(block)) {
            auto const& region = request->regions[static_cast<std::size_t>(rank)];
            visit_runs(region, block.tensor->cols(), run, [&](ElementRun part) {
                auto const piece =
                    bytes.subspan((part.first - run.first) * size, part.count * size);
                sent_.insert(sent_.end(), piece.begin(), piece.end());
            });
        }
    }
}

/// Delivers what this rank needs of a block that it has whole.
void Loading::place(Block const& block, std::span<std::byte const> bytes) {
    auto const run = run_of(block);
    auto const width = block.tensor->cols();
    auto const size = kernels::size_of(block.tensor->dtype);
    for (auto const* const request : rounds_.wishes_for(block)) {
        auto const& region = request->regions[static_cast<std::size_t>(ranks_.rank())];
        visit_runs(region, width, run, [&](ElementRun part) {
            auto const piece = bytes.subspan((part.first - run.first) * size, part.count * size);
            deliver(backend_, piece, *request, region, width, part);
        });
    }
}

/// Each reader's blocks that all ranks want whole, one after the other.
void Loading::broadcast(Round const& round, std::span<std::byte> received) {
    for (int reader = 0; reader < ranks_.size(); ++reader) {
        auto own = std::span(read_);
        auto& left = reader == ranks_.rank() ? own : received;
        for (auto const& block : blocks_of(round, reader)) {
            bool const to_all = rounds_.goes_to_all(block);
            if (to_all) ranks_.broadcast(left.first(block.bytes()), reader);
            // Of its own blocks a reader holds the others too.
            if (to_all || reader == ranks_.rank()) left = left.subspan(block.bytes());
        }
    }
}

/// Walks through what the others have sent to this rank: pieces, then whole blocks, in their order.
void Loading::unpack(Round const& round, std::size_t pieces_bytes) {
    auto const received = std::span<std::byte const>(received_);
    auto left = received.first(pieces_bytes);
    auto whole = received.subspan(pieces_bytes);
    for (int reader = 0; reader < ranks_.size(); ++reader) {
        if (reader == ranks_.rank()) continue;
        for (auto const& block : blocks_of(round, reader)) {
            if (rounds_.goes_to_all(block)) {
                place(block, whole.first(block.bytes()));
                whole = whole.subspan(block.bytes());
                continue;
            }
            auto const width = block.tensor->cols();
            auto const size = kernels::size_of(block.tensor->dtype);
            for (auto const* const request : rounds_.wishes_for(block)) {
                auto const& region = request->regions[static_cast<std::size_t>(ranks_.rank())];
                visit_runs(region, width, run_of(block), [&](ElementRun part) {
                    deliver(backend_, left.first(part.count * size), *request, region, width, part);
                    left = left.subspan(part.count * size);
                });
            }
        }
    }
    backend_.synchronize();
}

std::size_t Loading::bytes_between(Round const& round, int reader, int receiver) const {
    std::size_t bytes = 0;
    for (auto const& block : blocks_of(round, reader)) {
        if (!rounds_.goes_to_all(block)) bytes += rounds_.bytes_for(block, receiver);
    }
    return bytes;
}

/// Of the whole blocks that this rank receives.
std::size_t Loading::bytes_to_all(Round const& round) const {
    std::size_t bytes = 0;
    for (int reader = 0; reader < ranks_.size(); ++reader) {
        if (reader == ranks_.rank()) continue;
        for (auto const& block : blocks_of(round, reader)) {
            if (rounds_.goes_to_all(block)) bytes += block.bytes();
        }
    }
    return bytes;
}

}  // namespace

Hdf5WeightSource::Hdf5WeightSource(ModelIndex index, parallel::MpiCommunicator& ranks,
                                   kernels::Backend& backend, std::size_t staging_bytes)
    : index_(std::move(index)), ranks_{ranks}, backend_{backend}, staging_bytes_{staging_bytes} {
    for (auto const& tensor : index_.tensors) {
        infos_[tensor.name] = {tensor.dtype, tensor.shape};
        stored_[tensor.name] = &tensor;
    }
    parallel::agree(ranks_, [&] {
        file_ = std::make_unique<InputFile const>(index_.path);
        if (file_->bytes() == index_.file_bytes) return;
        throw InputError(index_.path + ": has " + std::to_string(file_->bytes()) +
                         " bytes here, but " + std::to_string(index_.file_bytes) +
                         " on rank 0: every rank must see the same file");
    });
}

Hdf5WeightSource::~Hdf5WeightSource() = default;

void Hdf5WeightSource::load(std::span<WeightRequest const> requests) {
    std::map<StoredTensor const*, Wishes> wishes;
    parallel::agree(ranks_, [&] {
        for (auto const& request : requests) {
            auto const found = stored_.find(request.tensor);
            if (found == stored_.end()) {
                throw InputError(index_.path + ": tensor " + request.tensor + " is missing");
            }
            check_request(request, *found->second, ranks_.rank(), ranks_.size());
            wishes[found->second].push_back(&request);
        }
    });
    Loading loading(LoadRounds(std::move(wishes), ranks_.size(), staging_bytes_), *file_, ranks_,
                    backend_);
    bytes_read_ += loading.run();
}

}  // namespace tesserank::io
