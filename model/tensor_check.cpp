#include "model/tensor_check.hpp"

#include "kernels/error.hpp"
#include "model/module_spec.hpp"

#include <charconv>
#include <set>
#include <string>
#include <string_view>

namespace tesserank::model {
namespace {

bool is_behind_selected_layer(VisionConfig const& vision, std::string_view tensor) {
    auto const& prefix = vision.names.layer_prefix;
    if (!tensor.starts_with(prefix)) return false;
    tensor.remove_prefix(prefix.size());
    std::size_t layer = 0;
    auto const [end, error] = std::from_chars(tensor.data(), tensor.data() + tensor.size(), layer);
    bool const number = error == std::errc{} && end != tensor.data() + tensor.size() && *end == '.';
    return number && layer >= vision.layers && layer < vision.file_layers;
}

bool is_known_extra(DecoderConfig const& config, std::string_view tensor) {
    return (config.tied_embeddings && tensor == config.names.lm_head) ||
           (config.vision && is_behind_selected_layer(*config.vision, tensor)) ||
           tensor.ends_with("rotary_emb.inv_freq");
}

}  // namespace

void refuse_unknown_tensors(DecoderConfig const& config, WeightSource const& source) {
    std::set<std::string, std::less<>> needed;
    for (auto const& module : describe_modules(config)) {
        for (auto const& weight : module.weights) needed.insert(weight.tensor);
    }
    constexpr std::size_t longest_list = 300;
    std::string unknown;
    for (auto const& [name, info] : source.tensors()) {
        if (needed.contains(name) || is_known_extra(config, name)) continue;
        unknown += (unknown.empty() ? "" : ", ") + name;
        if (unknown.size() > longest_list) {
            unknown += ", ...";
            break;
        }
    }
    if (unknown.empty()) return;
    throw kernels::InputError(
        "the model file has tensors that its config.json does not account for: " + unknown +
        "; the model would compute something else without them");
}

}  // namespace tesserank::model
