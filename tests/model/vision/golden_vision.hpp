#pragma once

#include "model/generate.hpp"
#include "model/placement_rules.hpp"
#include "model/residual_route.hpp"
#include "tests/io/golden_model.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

namespace tesserank::test {

inline constexpr std::array golden_vision_cases{"internvl-hf", "internvl-orig-25heads-bf16",
                                                "internvl-orig-psv1-bf16", "internvl-orig-qwen2"};

/// The pictures of a golden case with a vision encoder, and what they must give.
class GoldenVision {
  public:
    explicit GoldenVision(GoldenModel const& model)
        : expected{model.folder() + "/expected/expected.h5"} {
        for (std::size_t i = 0; expected.has("vision/image" + std::to_string(i)); ++i) {
            auto const group = "vision/image" + std::to_string(i);
            pictures.push_back(
                {expected.shape(group + "/tiles").front(), expected.bytes(group + "/tiles")});
            features.push_back(expected.floats(group + "/features"));
        }
        read_prompts(model);
    }

    ExpectedFile expected;
    std::vector<model::Picture> pictures;
    std::vector<std::vector<float>> features;       ///< by picture: [tiles * n, H]
    std::vector<model::PromptPictures> of_prompts;  ///< by prompt
    std::vector<std::vector<std::size_t>> indices;  ///< by prompt: of its pictures

    /// All tiles of these pictures.
    static std::vector<model::Tile> tiles_of(std::span<model::Picture const> pictures) {
        std::string const nobody;
        std::vector<model::RequestPictures> const all{{nobody, pictures}};
        return model::tiles_of(all);
    }

  private:
    static model::ConfigValue::Object parse(std::string const& text) {
        return std::get<model::ConfigValue::Object>(io::parse_config(text, "a golden case").value);
    }
    static std::int64_t integer(model::ConfigValue const& value) {
        return std::get<std::int64_t>(value.value);
    }

    void read_prompts(GoldenModel const& model) {
        auto const folder = model.folder() + "/expected/";
        auto const text = parse(io::read_text_file(folder + "case.json", 1 << 20));
        auto const& vision = std::get<model::ConfigValue::Object>(text.at("vision").value);
        auto const placeholder = static_cast<std::int32_t>(integer(vision.at("ctx")));
        std::istringstream lines(io::read_text_file(folder + "prompts.jsonl", 1 << 20));
        std::string line;
        for (auto const& prompt : model.prompts) {
            std::getline(lines, line);
            auto& [mine, places] = of_prompts.emplace_back();
            places = runs_of(prompt, placeholder);
            auto& chosen = indices.emplace_back();
            auto const object = parse(line);
            for (auto const& index :
                 std::get<model::ConfigValue::Array>(object.at("images").value)) {
                chosen.push_back(static_cast<std::size_t>(integer(index)));
                mine.push_back(pictures[chosen.back()]);
            }
        }
    }

    static std::vector<model::Placeholders> runs_of(std::vector<std::int32_t> const& prompt,
                                                    std::int32_t placeholder) {
        std::vector<model::Placeholders> places;
        for (std::size_t i = 0; i < prompt.size(); ++i) {
            if (prompt[i] != placeholder) continue;
            bool const goes_on =
                !places.empty() && places.back().position + places.back().count == i;
            if (!goes_on) places.push_back({i, 0});
            ++places.back().count;
        }
        return places;
    }
};

inline model::PlacementPlan golden_plan(model::DecoderConfig const& config, std::string const& wish,
                                        int ranks) {
    auto const modules = describe_modules(config);
    auto plan = model::make_plan(modules, wish, ranks);
    settle_streams(plan, modules, kernels::DType::f32);
    return plan;
}

/// Ways to place an encoder, and a text model beside it, on so many ranks.
inline std::vector<std::string> vision_wishes(int ranks) {
    auto const last = std::to_string(ranks - 1);
    return {"shard",
            "replicate",
            "replicate-attention",
            "split-batch",
            "split-batch-attention",
            "vision.*=single:0",
            "vision.*=single:" + last,
            "vision.*=split-batch",
            "vision.*.attention=split-batch,vision.*.mlp=shard",
            "vision.embedding=split-batch,vision.*.attention=shard,vision.projector=single:" + last,
            "vision.embedding=single:" + last +
                ",vision.layers.0.*=single:0,vision.layers.1.*=split-batch"};
}

/// The largest difference; infinite where one is not a number or the sizes differ.
inline double largest_error(std::span<float const> found, std::span<float const> wanted) {
    if (found.size() != wanted.size()) return INFINITY;
    double worst = 0.0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        double const error =
            std::abs(static_cast<double>(found[i]) - static_cast<double>(wanted[i]));
        worst = std::isnan(error) ? INFINITY : std::max(worst, error);
    }
    return worst;
}

inline double largest(std::span<float const> values) {
    return largest_error(values, std::vector<float>(values.size(), 0.0F));
}

inline std::string case_name(std::string name) {
    std::ranges::replace(name, '-', '_');
    return name;
}

}  // namespace tesserank::test
