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

/// Which blocks each rank reads in one round, as ranges of LoadRounds::blocks().
using Round = std::vector<parallel::Range>;

/// The plan of one load(): who reads what and when. A function of the requests alone, so that all
/// ranks make the same plan without asking.
class LoadRounds {
  public:
    /// In a round no rank reads, sends or receives more than `staging_bytes`, but for a round of
    /// one block.
    LoadRounds(std::map<StoredTensor const*, Wishes> wishes, int ranks, std::size_t staging_bytes);

    /// What is needed of the file, in its order.
    std::span<Block const> blocks() const { return blocks_; }
    Wishes const& wishes_for(Block const& block) const { return wishes_.at(block.tensor); }
    /// Bytes of a block that `rank` needs; several times those that several requests name.
    std::size_t bytes_for(Block const& block, int rank) const;
    /// Whether all requests want the whole tensor for every rank: then it is sent once, to all.
    bool goes_to_all(Block const& block) const { return to_all_.contains(block.tensor); }

    bool done() const;
    Round next();

  private:
    bool needed(Block const& block) const;

    std::map<StoredTensor const*, Wishes> wishes_;
    std::set<StoredTensor const*> to_all_;
    int ranks_;
    std::size_t staging_bytes_;
    std::vector<Block> blocks_;
    Round left_;          ///< by rank
    int first_rank_ = 0;  ///< of the next round: in turn, so that none waits for the others to end
};

/// The elements of a block within its tensor.
ElementRun run_of(Block const& block);

}  // namespace tesserank::io
