#include "io/model_file/load_rounds.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <utility>

namespace tesserank::io {
namespace {

/// The bytes that ranks read, send, receive and pass on in a round.
class Load {
  public:
    explicit Load(std::span<std::size_t const> limits)
        : limits_{limits},
          read_(limits.size()),
          sent_(read_.size()),
          received_(read_.size()),
          forwarded_(read_.size()) {}

    /// Adds a block unless that is too much.
    bool add(std::size_t reader, std::size_t bytes, std::size_t sent,
             std::span<std::size_t const> received, std::span<std::size_t const> forwarded) {
        bool fits =
            read_[reader] + bytes <= limits_[reader] && sent_[reader] + sent <= limits_[reader];
        for (std::size_t rank = 0; rank < received.size(); ++rank) {
            fits = fits && received_[rank] + received[rank] <= limits_[rank] &&
                   forwarded_[rank] + forwarded[rank] <= limits_[rank];
        }
        if (!fits && !empty_) return false;
        empty_ = false;
        read_[reader] += bytes;
        sent_[reader] += sent;
        for (std::size_t rank = 0; rank < received.size(); ++rank) {
            received_[rank] += received[rank];
            forwarded_[rank] += forwarded[rank];
        }
        return true;
    }

  private:
    std::span<std::size_t const> limits_;  ///< by rank
    std::vector<std::size_t> read_, sent_, received_, forwarded_;
    bool empty_ = true;
};

/// Numbers that look random, so that neighbours fall on different ranks. Fibonacci hashing.
std::size_t scattered(std::size_t number) {
    return static_cast<std::size_t>(number * std::uint64_t{0x9E3779B97F4A7C15} >> 32);
}

bool want_the_same(Wishes const& requests, std::size_t one, std::size_t other) {
    return std::ranges::all_of(requests, [&](auto const* request) {
        return request->regions[one] == request->regions[other];
    });
}

/// Whether a rank wants the whole tensor: in one request, or in several for whole rows.
bool wants_whole(StoredTensor const& tensor, Wishes const& requests, std::size_t rank) {
    std::vector<parallel::Range> rows;
    for (auto const* const request : requests) {
        auto const& region = request->regions[rank];
        if (region.rows.count == 0) continue;
        if (region.cols.count != tensor.cols()) return false;
        rows.push_back(region.rows);
    }
    std::ranges::sort(rows, {}, &parallel::Range::begin);
    std::size_t next = 0;
    for (auto const& range : rows) {
        if (range.begin > next) return false;
        next = std::max(next, range.end());
    }
    return next == tensor.rows();
}

/// Whether every rank does.
bool wanted_whole(StoredTensor const& tensor, Wishes const& requests, std::size_t ranks) {
    for (std::size_t rank = 0; rank < ranks; ++rank) {
        if (!wants_whole(tensor, requests, rank)) return false;
    }
    return true;
}

}  // namespace

ElementRun run_of(Block const& block) {
    auto const width = kernels::size_of(block.tensor->dtype);
    return {block.begin() / width, block.bytes() / width};
}

std::size_t bytes_wanted(Block const& block, Wishes const& wishes, int rank) {
    std::size_t elements = 0;
    for (auto const* const request : wishes) {
        elements += elements_within(request->regions[static_cast<std::size_t>(rank)],
                                    block.tensor->cols(), run_of(block));
    }
    return elements * kernels::size_of(block.tensor->dtype);
}

LoadRounds::LoadRounds(std::map<StoredTensor const*, Wishes> wishes,
                       std::vector<std::size_t> staging_bytes, std::vector<int> nodes)
    : wishes_(std::move(wishes)),
      staging_bytes_(std::move(staging_bytes)),
      ranks_{static_cast<int>(staging_bytes_.size())},
      nodes_(std::move(nodes)) {
    if (std::ranges::adjacent_find(nodes_, std::ranges::not_equal_to{}) == nodes_.end()) {
        nodes_.clear();
    }
    for (auto const& [tensor, requests] : wishes_) {
        if (several_nodes()) {
            group_ranks(*tensor, requests);
        } else if (wanted_whole(*tensor, requests, staging_bytes_.size())) {
            to_all_.insert(tensor);
        }
        std::ranges::copy_if(blocks_of(*tensor), std::back_inserter(blocks_),
                             [this](Block const& block) { return needed(block); });
    }
    std::ranges::sort(blocks_, {}, [](Block const& block) { return block.file_offset(); });
    left_ = deal_blocks(blocks_, ranks_);
}

void LoadRounds::group_ranks(StoredTensor const& tensor, Wishes const& requests) {
    auto& groups = groups_[&tensor];
    groups.resize(nodes_.size());
    for (std::size_t rank = 0; rank < nodes_.size(); ++rank) {
        for (std::size_t other = 0; other < nodes_.size(); ++other) {
            if (nodes_[rank] == nodes_[other] && want_the_same(requests, rank, other)) {
                groups[rank].push_back(static_cast<int>(other));
            }
        }
    }
}

int LoadRounds::sender_of(Block const& block, int reader, int receiver) const {
    if (!several_nodes()) return reader;
    auto const to = static_cast<std::size_t>(receiver);
    if (nodes_[to] == nodes_[static_cast<std::size_t>(reader)]) return reader;
    auto const& group = groups_.at(block.tensor)[to];
    auto const first = group[scattered(block.file_offset()) % group.size()];
    return first == receiver ? reader : first;
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

/// What each rank receives of a block and passes on. Returns what the reader sends.
std::size_t LoadRounds::bytes_for_all(Block const& block, int reader,
                                      std::span<std::size_t> received,
                                      std::span<std::size_t> forwarded) const {
    bool const to_all = goes_to_all(block);
    std::size_t sent = to_all ? block.bytes() : 0;
    std::ranges::fill(forwarded, 0);
    for (int rank = 0; rank < ranks_; ++rank) {
        auto& bytes = received[static_cast<std::size_t>(rank)];
        bytes = to_all ? block.bytes() : bytes_for(block, rank);
        if (rank == reader) bytes = 0;
        if (to_all || bytes == 0) continue;
        auto const sender = sender_of(block, reader, rank);
        (sender == reader ? sent : forwarded[static_cast<std::size_t>(sender)]) += bytes;
    }
    return sent;
}

Round LoadRounds::next() {
    auto const ranks = left_.size();
    Round round(ranks);
    for (std::size_t rank = 0; rank < ranks; ++rank) round[rank].begin = left_[rank].begin;
    Load load(staging_bytes_);
    std::vector<std::size_t> received(ranks), forwarded(ranks);
    for (bool added = true; added;) {
        added = false;
        for (std::size_t turn = 0; turn < ranks; ++turn) {
            auto const reader = (static_cast<std::size_t>(first_rank_) + turn) % ranks;
            if (left_[reader].count == 0) continue;
            auto const& block = blocks_[left_[reader].begin];
            auto const sent = bytes_for_all(block, static_cast<int>(reader), received, forwarded);
            if (!load.add(reader, block.bytes(), sent, received, forwarded)) continue;
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
