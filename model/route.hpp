#pragma once

#include "model/module_spec.hpp"
#include "model/placement.hpp"
#include "parallel/collective.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tesserank::model {

/// What the parts of a plan cost, in any unit that adds up.
class RouteCosts {
  public:
    virtual ~RouteCosts() = default;

    /// What an exchange is about.
    enum class Rows : std::uint8_t {
        stream,   ///< all rows, f32: the residual stream, or what is added to it
        input,    ///< all rows in the compute dtype: what a module takes
        outputs,  ///< the rows whose logits are wanted, in the compute dtype
    };
    /// Never of Collective::none.
    virtual double exchange(parallel::Collective kind, Rows rows) const = 0;
    /// A module's own work; not of norms.
    virtual double work(ModuleSpec const& module, Placement placement) const = 0;
    /// A norm where the residual stream lies.
    virtual double norm(parallel::LayoutKind stream) const = 0;
    /// What follows the last module: bringing logits or candidates together and telling all ranks
    /// what was chosen, or bringing an encoder's features to all ranks.
    virtual double end(ModuleSpec const& last, Placement placement) const = 0;
};

/// The cost of a text model or of a vision encoder under a plan whose streams are settled: of the
/// work of its modules and norms, and of its exchanges.
struct PlanCost {
    double work = 0.0, exchanges = 0.0;
    double total() const { return work + exchanges; }
};
PlanCost cost_of(PlacementPlan const& plan, std::span<ModuleSpec const> modules,
                 RouteCosts const& costs);

/// A module on the way through a forward pass, and the placements from which one may be chosen for
/// it; the first of equally good ones is.
struct RouteStop {
    ModuleSpec const* module = nullptr;
    std::vector<Placement> choices;
    /// By choice and rank, for a search under a memory limit.
    std::vector<std::vector<std::size_t>> bytes = {};
};

/// The bytes that each rank has for all stops, and how many partial ways may be kept at each
/// layout: more come nearer to the best plan that fits.
struct RouteMemory {
    std::vector<std::size_t> limit;  ///< by rank
    std::size_t ways = 32;
};

/// The cheapest way through a text model or a vision encoder: a placement for each, and where the
/// residual stream lies while each attention and MLP runs. By dynamic programming over the stream's
/// layouts: exact without a memory limit; under one, of the ways to a layout those are kept that no
/// other one beats in both cost and bytes, as far as RouteMemory allows. `stops` are all modules
/// but norms, in order. nullopt when no way fits. Deterministic.
std::optional<PlacementPlan> cheapest_route(std::span<RouteStop const> stops, int ranks,
                                            RouteCosts const& costs,
                                            std::optional<RouteMemory> const& memory = {});

}  // namespace tesserank::model
