#pragma once

#include "kernels/random.hpp"
#include "model/decoder_config.hpp"
#include "model/module_spec.hpp"
#include "model/weight_source.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::test {

/// A tiny decoder whose vocabulary, intermediate size and head counts no common rank count divides.
inline model::DecoderConfig tiny_decoder() {
    model::DecoderConfig config;
    config.model_type = "tiny";
    config.vocabulary = 37;
    config.hidden = 20;
    config.intermediate = 29;
    config.layers = 2;
    config.query_heads = 6;
    config.kv_heads = 3;
    config.head_dim = 6;
    config.context = 64;
    config.windows = {0, 0};
    return config;
}

/// The tensors that a config needs.
inline std::map<std::string, model::TensorInfo, std::less<>> tensors_of(
    model::DecoderConfig const& config, kernels::DType dtype = kernels::DType::f32) {
    std::map<std::string, model::TensorInfo, std::less<>> tensors;
    for (auto const& module : describe_modules(config)) {
        for (auto const& weight : module.weights) {
            tensors[weight.tensor] = {dtype, weight.shape_in_file()};
        }
    }
    return tensors;
}

/// Weights from nowhere: every element follows from tensor name, row and column alone, so that a
/// rank can make its own part. Scaled so that activations stay near 1 and logits spread.
class PseudoWeights final : public model::WeightSource {
  public:
    PseudoWeights(std::map<std::string, model::TensorInfo, std::less<>> tensors, int rank)
        : tensors_{std::move(tensors)}, rank_{rank} {}

    std::map<std::string, model::TensorInfo, std::less<>> const& tensors() const override {
        return tensors_;
    }

    /// Element [row, col], rounded to the tensor's dtype.
    float at(std::string const& name, std::size_t row, std::size_t col) const {
        auto const& info = tensors_.at(name);
        bool const vector = info.shape.size() == 1;
        bool const norm = name.find("norm") != std::string::npos;
        double const center = norm ? 1.0 : 0.0;
        double const spread = vector ? 0.5 : gain(name) / std::sqrt(double(info.shape[1]));
        constexpr std::uint64_t seed = 20;
        double const draw =
            kernels::uniform_draw(seed, kernels::stream_of(name), static_cast<std::uint32_t>(row),
                                  static_cast<std::uint32_t>(col));
        auto const value = static_cast<float>(center + spread * (2.0 * draw - 1.0));
        return kernels::visit_dtype(info.dtype, [&]<class T>(T) {
            return kernels::to_float(kernels::from_float<T>(value));
        });
    }

    void load(std::span<model::WeightRequest const> requests) override {
        for (auto const& request : requests) {
            auto const& region = request.regions[static_cast<std::size_t>(rank_)];
            if (region.rows.count == 0 || region.cols.count == 0) continue;
            kernels::require(region.rows.count == request.destination.rows &&
                                 region.cols.count == request.destination.cols,
                             "the destination of " + request.tensor + " is not its region");
            fill(request, region);
        }
    }

  private:
    static double gain(std::string const& name) {
        return name.find("embed") != std::string::npos || name.starts_with("lm_head") ? 8.0 : 2.0;
    }

    void fill(model::WeightRequest const& request, model::Region const& region) const {
        kernels::visit_dtype(request.destination.dtype, [&]<class T>(T) {
            for (std::size_t r = 0; r < region.rows.count; ++r) {
                T* const row = request.destination.row<T>(r);
                for (std::size_t c = 0; c < region.cols.count; ++c) {
                    row[c] = kernels::from_float<T>(
                        at(request.tensor, region.rows.begin + r, region.cols.begin + c));
                }
            }
        });
    }

    std::map<std::string, model::TensorInfo, std::less<>> tensors_;
    int rank_;
};

}  // namespace tesserank::test
