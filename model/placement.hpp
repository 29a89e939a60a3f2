#pragma once

#include "model/module_spec.hpp"
#include "model/weight_source.hpp"
#include "parallel/collective.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::model {

/// How a module's weights and work are spread over the ranks; the table is in docs/placement.md.
struct Placement {
    enum class Kind : std::uint8_t {
        shard,        ///< weights and work cut by unit
        replicate,    ///< weights whole on every rank, work repeated
        split_batch,  ///< weights whole on every rank, sequences dealt out over the ranks
        single,       ///< on one rank alone
    };
    Kind kind = Kind::shard;
    int rank = 0;  ///< of single; 0 otherwise

    static Placement const shard, replicate, split_batch;
    static constexpr Placement single(int rank);
    bool operator==(Placement const&) const = default;

    /// Whether `rank` has the whole module; nobody has under shard.
    bool whole_on(int rank_asked) const {
        return kind != Kind::shard && (kind != Kind::single || rank == rank_asked);
    }
};
inline constexpr Placement Placement::shard{Kind::shard, 0};
inline constexpr Placement Placement::replicate{Kind::replicate, 0};
inline constexpr Placement Placement::split_batch{Kind::split_batch, 0};
constexpr Placement Placement::single(int rank) { return {Kind::single, rank}; }

/// "shard", "replicate", "split-batch", "single:2".
std::string name_of(Placement placement);
/// nullopt for another word. The rank is not checked against a rank count.
std::optional<Placement> placement_from_name(std::string_view name);

/// The layouts in which a module takes its input and gives its result.
parallel::LayoutKind input_of(Placement placement);
parallel::LayoutKind output_of(Placement placement, ModuleKind module);

/// The placement of every module, by name: data, and nothing in model/ assumes that two modules
/// have the same.
struct PlacementPlan {
    int ranks = 1;
    std::map<std::string, Placement, std::less<>> placements;
    /// By attention and MLP module: where the residual stream lies while it runs. Its norm is
    /// computed there and its result is added there. Filled by settle_streams().
    std::map<std::string, parallel::LayoutKind, std::less<>> streams;

    Placement of(std::string_view module) const;
    parallel::LayoutKind stream_of(std::string_view module) const;
    /// Whether sequences are dealt out over the ranks, for a module of the text model or its
    /// residual stream.
    bool deals_sequences() const;
    /// Whether tiles are, for the vision encoder.
    bool deals_tiles() const;
    /// Over how many ranks: all, or one when none are dealt out.
    int owners() const { return deals_sequences() ? ranks : 1; }
    /// Which of the owners a rank is; where none are dealt out, all ranks are the one owner.
    int owner_of(int rank) const { return deals_sequences() ? rank : 0; }
};

/// Places the norms among these modules, which are whole on every rank in any plan.
void replicate_norms(PlacementPlan& plan, std::span<ModuleSpec const> modules);

/// What each rank holds of a weight; empty regions where it holds nothing.
std::vector<Region> regions_of(WeightSpec const& weight, std::size_t units, Placement placement,
                               int ranks);

/// Of so many units (heads, MLP columns, vocabulary rows), those that `rank` holds and computes.
parallel::Range units_of(std::size_t units, Placement placement, int rank, int ranks);

}  // namespace tesserank::model
