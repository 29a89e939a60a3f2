#include "io/model_file/load_rounds.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace tesserank::io {
namespace {

/// The bytes that ranks read, send and receive in a round.
class Load {
  public:
    Load(int ranks, std::size_t limit)
        : limit_{limit},
          read_(static_cast<std::size_t>(ranks)),
          sent_(read_.size()),
          received_(read_.size()) {}

    /// Adds a block unless that is too much.
    bool add(std::size_t reader, std::size_t bytes, std::size_t sent,
             std::span<std::size_t const> pieces) {
        bool fits = read_[reader] + bytes <= limit_ && sent_[reader] + sent <= limit_;
        for (std::size_t rank = 0; rank < pieces.size(); ++rank) {
            fits = fits && received_[rank] + pieces[rank] <= limit_;
        }
        if (!fits && !empty_) return false;
        empty_ = false;
        read_[reader] += bytes;
        sent_[reader] += sent;
        for (std::size_t rank = 0; rank < pieces.size(); ++rank) received_[rank] += pieces[rank];
        return true;
    }

  private:
    std::size_t limit_;
    std::vector<std::size_t> read_, sent_, received_;
    bool empty_ = true;
};

/// Whether every rank wants the whole tensor in every request.
bool wanted_whole(StoredTensor const& tensor, Wishes const& requests) {
    return std::ranges::all_of(requests, [&](auto const* request) {
        return std::ranges::all_of(request->regions, [&](model::Region const& region) {
            return region.rows.count == tensor.rows() && region.cols.count == tensor.cols();
        });
    });
}

}  // namespace

ElementRun run_of(Block const& block) {
    auto const width = kernels::size_of(block.tensor->dtype);
    return {block.begin() / width, block.bytes() / width};
}

LoadRounds::LoadRounds(std::map<StoredTensor const*, Wishes> wishes, int ranks,
                       std::size_t staging_bytes)
    : wishes_(std::move(wishes)), ranks_{ranks}, staging_bytes_{staging_bytes} {
    for (auto const& [tensor, requests] : wishes_) {
        if (wanted_whole(*tensor, requests)) to_all_.insert(tensor);
        std::ranges::copy_if(blocks_of(*tensor), std::back_inserter(blocks_),
                             [this](Block const& block) { return needed(block); });
    }
    std::ranges::sort(blocks_, {}, [](Block const& block) { return block.file_offset(); });
    left_ = deal_blocks(blocks_, ranks);
}

std::size_t LoadRounds::bytes_for(Block const& block, int rank) const {
    std::size_t elements = 0;
    for (auto const* const request : wishes_for(block)) {
        elements += elements_within(request->regions[static_cast<std::size_t>(rank)],
                                    block.tensor->cols(), run_of(block));
    }
    return elements * kernels::size_of(block.tensor->dtype);
}

bool LoadRounds::needed(Block const& block) const {
    for (int rank = 0; rank < ranks_; ++rank) {
        if (bytes_for(block, rank) > 0) return true;
    }
    return false;
}

bool LoadRounds::done() const {
    return std::ranges::all_of(left_, [](auto const& range) { return range.count == 0; });
}

Round LoadRounds::next() {
    auto const ranks = left_.size();
    Round round(ranks);
    for (std::size_t rank = 0; rank < ranks; ++rank) round[rank].begin = left_[rank].begin;
    Load load(ranks_, staging_bytes_);
    std::vector<std::size_t> pieces(ranks);
    for (bool added = true; added;) {
        added = false;
        for (std::size_t turn = 0; turn < ranks; ++turn) {
            auto const reader = (static_cast<std::size_t>(first_rank_) + turn) % ranks;
            if (left_[reader].count == 0) continue;
            auto const& block = blocks_[left_[reader].begin];
            bool const to_all = goes_to_all(block);
            for (int rank = 0; rank < ranks_; ++rank) {
                pieces[static_cast<std::size_t>(rank)] =
                    to_all ? block.bytes() : bytes_for(block, rank);
            }
            pieces[reader] = 0;
            auto const sent = to_all
                                  ? block.bytes()
                                  : std::accumulate(pieces.begin(), pieces.end(), std::size_t{0});
            if (!load.add(reader, block.bytes(), sent, pieces)) continue;
            ++round[reader].count;
            ++left_[reader].begin;
            --left_[reader].count;
            added = true;
        }
    }
    first_rank_ = (first_rank_ + 1) % ranks_;
    return round;
}

}  // namespace tesserank::io
