#pragma once

#include "kernels/backend.hpp"
#include "model/module_spec.hpp"
#include "model/plan_facts.hpp"
#include "model/weight_source.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>

namespace tesserank::io {

/// Random weights for a model of which only the config is there, for measurements. An element
/// follows from the name of its tensor and its place in it alone: the same under every plan, on any
/// rank count, and nothing is sent. Scaled so that activations stay finite.
class SyntheticWeights final : public model::WeightSource {
  public:
    SyntheticWeights(std::span<model::ModuleSpec const> modules, model::DTypeOf const& dtype_of,
                     int rank, kernels::Backend& backend);

    std::map<std::string, model::TensorInfo, std::less<>> const& tensors() const override {
        return infos_;
    }

    /// Every rank makes its own regions.
    void load(std::span<model::WeightRequest const> requests) override;

  private:
    /// Elements are spread evenly over center - spread to center + spread.
    struct Values {
        std::uint64_t stream = 0;
        float center = 0.0F, spread = 0.0F;
    };
    static Values values_of(model::WeightSpec const& weight);
    template <class Element>
    void fill(model::WeightRequest const& request, model::Region const& region);

    std::map<std::string, model::TensorInfo, std::less<>> infos_;
    std::map<std::string, Values, std::less<>> values_;
    int rank_;
    kernels::Backend& backend_;
};

}  // namespace tesserank::io
