#include "app/plan_options.hpp"

#include "app/usage_error.hpp"
#include "io/input_file.hpp"
#include "io/model_file/set_index.hpp"
#include "io/plan_file.hpp"
#include "io/requests/config_json.hpp"
#include "kernels/error.hpp"
#include "model/architecture.hpp"
#include "model/placement_rules.hpp"
#include "model/residual_route.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

namespace tesserank::app {
namespace {

namespace fs = std::filesystem;
using kernels::DType;
using kernels::InputError;

/// Logits of a whole prefill chunk can be larger than the model: bounded to what a cache of some
/// levels digests.
constexpr std::size_t logit_bytes = std::size_t{64} << 20;

/// What Hugging Face calls the dtype in which a model is stored; bf16 when the config does not say.
DType stored_dtype(model::ConfigValue const& config) {
    static std::map<std::string, DType, std::less<>> const names{
        {"float32", DType::f32}, {"bfloat16", DType::bf16}, {"float16", DType::f16}};
    auto const* object = std::get_if<model::ConfigValue::Object>(&config.value);
    for (auto const* key : {"dtype", "torch_dtype"}) {
        if (object == nullptr) break;
        auto const found = object->find(key);
        if (found == object->end()) continue;
        auto const* name = std::get_if<std::string>(&found->second.value);
        auto const known = name == nullptr ? names.end() : names.find(*name);
        if (known != names.end()) return known->second;
    }
    return DType::bf16;
}

}  // namespace

model::DecoderConfig config_of(io::ModelIndex const& index) {
    auto const* text = index.find_document("config");
    if (text == nullptr) throw InputError(index.path + " has no /config: convert the model again");
    auto config = model::describe_model(io::parse_config(*text, index.path + ": /config"));
    auto const& tensors = index.all_tensors();
    model::match_names(config, [&](std::string_view name) {
        return std::ranges::find(tensors, name, &io::StoredTensor::name) != tensors.end();
    });
    return config;
}

model::DTypeOf dtypes_of(io::ModelIndex const& index) {
    std::map<std::string, DType, std::less<>> dtypes;
    for (auto const& tensor : index.all_tensors()) dtypes[tensor.name] = tensor.dtype;
    return [path = index.path, dtypes = std::move(dtypes)](std::string_view tensor) {
        auto const found = dtypes.find(tensor);
        if (found != dtypes.end()) return found->second;
        throw InputError("tensor " + std::string(tensor) + " is missing from the model file " +
                         path + ", but its config.json needs it");
    };
}

bool names_plan_file(std::string const& wish) {
    // A file that happens to have the name of a preset is not meant.
    if (wish.find('=') != std::string::npos || model::is_preset(wish) || wish == automatic)
        return false;
    std::error_code error;
    return wish.ends_with(".json") || fs::is_regular_file(wish, error);
}

model::WeightFormat weight_format_of(std::string_view word) {
    if (word == "file") return model::WeightFormat::file;
    if (word == "fp8") return model::WeightFormat::fp8;
    throw UsageError("--weights is \"" + std::string(word) + "\", expected file or fp8");
}

model::TransformerOptions forward_options(model::DecoderConfig const& config, Precision precision,
                                          std::size_t prefill_chunk) {
    return {.compute = precision.compute,
            .weights = precision.weights,
            .max_rows = prefill_chunk,
            .max_logit_rows = std::clamp<std::size_t>(
                logit_bytes / (config.vocabulary * sizeof(float)), 1, prefill_chunk)};
}

model::TransformerOptions options_on_gpus(model::TransformerOptions bounds, bool queued) {
    bounds.inner = bounds.compute;
    bounds.on_host = false;
    bounds.resident = queued;
    return bounds;
}

void check_workload(model::Workload const& workload) {
    constexpr std::size_t most_sequences = 1 << 16, most_tokens = std::size_t{1} << 30;
    std::size_t const length = workload.prompt + workload.new_tokens;
    if (workload.batch <= most_sequences && workload.batch * length <= most_tokens) return;
    throw InputError("a batch of " + std::to_string(workload.batch) + " sequences of " +
                     std::to_string(length) +
                     " tokens each is beyond 65536 sequences or 2^30 tokens in all");
}

std::size_t usual_tiles(model::DecoderConfig const& config) {
    if (!config.vision) return 0;
    return config.vision->features_per_tile() < config.context / 2 ? 1 : 0;
}

std::size_t feature_tokens(model::DecoderConfig const& config, std::size_t tiles) {
    return config.vision ? tiles * config.vision->features_per_tile() : 0;
}

model::PlacementPlan plan_for(model::DecoderConfig const& config, std::string const& wish,
                              int ranks, DType compute) {
    auto const modules = model::describe_modules(config);
    auto plan = names_plan_file(wish) ? io::parse_plan(io::read_text_file(wish, most_json_bytes),
                                                       wish, modules, ranks)
                                      : model::make_plan(modules, wish, ranks);
    if (plan.streams.empty()) model::settle_streams(plan, modules, compute);
    return plan;
}

std::optional<ConfigText> read_config_text(std::string const& path) {
    std::error_code error;
    bool const folder = fs::is_directory(path, error) && !io::is_set(path);
    if (!folder && !path.ends_with(".json")) return std::nullopt;
    auto origin = folder ? (fs::path(path) / "config.json").string() : path;
    auto text = io::read_text_file(origin, most_json_bytes);
    return ConfigText{std::move(origin), std::move(text)};
}

PlannedModel planned_from(ConfigText const& config_text) {
    auto const value = io::parse_config(config_text.text, config_text.path);
    auto config = model::describe_model(value);
    auto title = config_text.path + " (" + config.model_type + ")";
    return {std::move(config), [dtype = stored_dtype(value)](std::string_view) { return dtype; },
            std::move(title)};
}

PlannedModel planned_from(io::ModelIndex const& index) {
    auto config = config_of(index);
    auto title = index.path + " (" + config.model_type + ")";
    return {std::move(config), dtypes_of(index), std::move(title)};
}

PlannedModel open_for_planning(std::string const& path) {
    auto const config_text = read_config_text(path);
    return config_text ? planned_from(*config_text) : planned_from(io::read_model_index(path));
}

}  // namespace tesserank::app
