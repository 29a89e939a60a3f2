#pragma once

#include "model/machine.hpp"
#include "model/module_work.hpp"
#include "model/route.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::model {

/// Which seconds are counted.
enum class CostPart : std::uint8_t {
    all,
    gemm,
    weights,  ///< GEMMs as if they had one row: the time of reading the weights
    attention,
    elementwise,
    starts,  ///< exchanges as if they moved nothing
};

/// Seconds that parts of a plan take on a measured machine, over all of some forward passes. Ranks
/// wait for the slowest at the next exchange, so a module takes as long as on the rank that has
/// most to do of it. The references must outlive the object; not for several threads.
class MachineCosts final : public RouteCosts {
  public:
    MachineCosts(Machine const& machine, PlannedWork model, std::vector<CountedLoad> loads,
                 CostPart part = CostPart::all);

    double exchange(parallel::Collective kind, Rows rows) const override;
    double work(ModuleSpec const& module, Placement placement) const override;
    double norm(parallel::LayoutKind stream) const override;
    double end(ModuleSpec const& last, Placement placement) const override;

  private:
    double seconds_of(ModuleWork const& work, Busy busy) const;
    double seconds_within(ModuleSpec const& module, Placement placement) const;
    double gemm_seconds(GemmWork work, Busy busy) const;
    double exchange_seconds(parallel::Collective kind, std::size_t bytes) const;
    template <class WorksOf>
    double slowest(WorksOf const& works_of_load) const;

    Machine const& machine_;
    PlannedWork model_;
    std::vector<CountedLoad> loads_;
    CostPart part_;
    /// What was asked for already: layers are alike, and a search asks again and again.
    mutable std::map<std::pair<std::string, std::string>, double> work_;
    mutable std::map<std::pair<parallel::Collective, Rows>, double> exchanges_;
    mutable std::map<std::string, double> norms_;
};

}  // namespace tesserank::model
