#pragma once

#include "io/model_file/block.hpp"
#include "io/model_file/region.hpp"
#include "model/weight_source.hpp"

#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <vector>

namespace tesserank::io {

/// The requests for one tensor.
using Wishes = std::vector<model::WeightRequest const*>;

/// The elements of a block within its tensor.
ElementRun run_of(Block const& block);
/// Bytes of a block that requests name for `rank`; several times those that several name.
std::size_t bytes_wanted(Block const& block, Wishes const& wishes, int rank);

/// Which blocks each rank reads in one round, as ranges of LoadRounds::blocks().
using Round = std::vector<parallel::Range>;

/// The plan of one load(): who reads what and when. A function of the requests alone, so that all
/// ranks make the same plan without asking.
class LoadRounds {
  public:
    /// In a round no rank reads, sends or receives more than its `staging_bytes`, by rank, but for
    /// a round of one block. `nodes` says which node each rank is on; empty: all are on one.
    LoadRounds(std::map<StoredTensor const*, Wishes> wishes, std::vector<std::size_t> staging_bytes,
               std::vector<int> nodes = {});

    /// What is needed of the file, in its order.
    std::span<Block const> blocks() const { return blocks_; }
    Wishes const& wishes_for(Block const& block) const { return wishes_.at(block.tensor); }
    /// See bytes_wanted.
    std::size_t bytes_for(Block const& block, int rank) const {
        return bytes_wanted(block, wishes_for(block), rank);
    }
    /// Whether the requests together want the whole tensor for every rank, and all are on one node:
    /// then it is broadcast.
    bool goes_to_all(Block const& block) const { return to_all_.contains(block.tensor); }
    bool several_nodes() const { return !nodes_.empty(); }
    /// From whom a rank gets its part of a block: from its reader; or, when ranks of another node
    /// want the same, from the one of them to whom the reader sends it: another for each block.
    int sender_of(Block const& block, int reader, int receiver) const;

    bool done() const;
    Round next();

  private:
    bool needed(Block const& block) const;
    void group_ranks(StoredTensor const& tensor, Wishes const& requests);
    std::size_t bytes_for_all(Block const& block, int reader, std::span<std::size_t> received,
                              std::span<std::size_t> forwarded) const;

    std::map<StoredTensor const*, Wishes> wishes_;
    std::set<StoredTensor const*> to_all_;
    /// By rank: those of its node who want the same, itself included, in rank order.
    std::map<StoredTensor const*, std::vector<std::vector<int>>> groups_;
    std::vector<std::size_t> staging_bytes_;  ///< by rank
    int ranks_;
    std::vector<int> nodes_;  ///< by rank; empty when all are on one
    std::vector<Block> blocks_;
    Round left_;          ///< by rank
    int first_rank_ = 0;  ///< of the next round: in turn, so that none waits for the others to end
};

}  // namespace tesserank::io
