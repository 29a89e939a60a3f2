#pragma once

#include "model/exchange.hpp"
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
class MachineCosts : public RouteCosts {
  public:
    MachineCosts(Machine const& machine, PlannedWork model, std::vector<CountedLoad> loads,
                 CostPart part);

    double exchange(parallel::Collective kind, Rows rows) const final;
    double work(ModuleSpec const& module, Placement placement) const final;
    double norm(parallel::LayoutKind stream) const final;
    double end(ModuleSpec const& last, Placement placement) const final;

    /// How many passes there are.
    std::size_t passes() const;

  protected:
    PlannedWork const& model() const { return model_; }

  private:
    /// Columns of the residual stream.
    virtual std::size_t hidden() const = 0;
    virtual std::size_t exchange_bytes(StepLoad const& load, Rows rows) const = 0;
    /// The exchanges without which a module cannot do its work, and those behind the last one. On
    /// more than one rank.
    virtual std::vector<Exchange> exchanges_of_module(ModuleSpec const& module, Placement placement,
                                                      StepLoad const& load) const = 0;
    virtual std::vector<Exchange> exchanges_at_end(Placement placement,
                                                   StepLoad const& load) const = 0;

    double seconds_of(ModuleWork const& work, Busy busy) const;
    double gemm_seconds(GemmWork work, Busy busy) const;
    double exchange_seconds(parallel::Collective kind, std::size_t bytes) const;
    template <class ExchangesOf>
    double sum_of_exchanges(ExchangesOf const& exchanges_of_load) const;
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

/// Of a text model.
class TextCosts final : public MachineCosts {
  public:
    TextCosts(Machine const& machine, PlannedWork model, std::vector<CountedLoad> loads,
              CostPart part = CostPart::all)
        : MachineCosts(machine, model, std::move(loads), part) {}

  private:
    std::size_t hidden() const override { return model().config.hidden; }
    std::size_t exchange_bytes(StepLoad const& load, Rows rows) const override;
    std::vector<Exchange> exchanges_of_module(ModuleSpec const& module, Placement placement,
                                              StepLoad const& load) const override;
    std::vector<Exchange> exchanges_at_end(Placement placement,
                                           StepLoad const& load) const override;
};

/// Of a model's vision encoder, with loads from vision_loads_of().
class VisionCosts final : public MachineCosts {
  public:
    VisionCosts(Machine const& machine, PlannedWork model, std::vector<CountedLoad> loads,
                CostPart part = CostPart::all)
        : MachineCosts(machine, model, std::move(loads), part) {}

  private:
    VisionConfig const& config() const { return *model().config.vision; }
    std::size_t hidden() const override { return config().hidden; }
    std::size_t exchange_bytes(StepLoad const& load, Rows rows) const override;
    std::vector<Exchange> exchanges_of_module(ModuleSpec const& module, Placement placement,
                                              StepLoad const& load) const override;
    std::vector<Exchange> exchanges_at_end(Placement placement,
                                           StepLoad const& load) const override;
};

}  // namespace tesserank::model
