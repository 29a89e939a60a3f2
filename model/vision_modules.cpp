#include "model/module_parts.hpp"

#include <utility>

namespace tesserank::model {
namespace {

/// The result is cut by column: each unit is one of its columns.
ModuleSpec patch_embedding(VisionConfig const& config) {
    auto const& names = config.names;
    std::size_t const hidden = config.hidden, rows = 1 + config.table_patches();
    ModuleSpec module{.name = "vision.embedding",
                      .kind = ModuleKind::patch_embedding,
                      .units = hidden,
                      .weights = {}};
    add_linear(module, names.patch, {Role::patch, Role::patch_bias, hidden, config.patch_width()},
               true);
    module.weights.front().shape = {hidden, config.channels, config.patch, config.patch};
    module.weights.push_back({.tensor = names.class_token,
                              .role = Role::class_token,
                              .rows = 1,
                              .cols = hidden,
                              .cut = Cut::cols,
                              .shape = {1, 1, hidden}});
    module.weights.push_back({.tensor = names.positions,
                              .role = Role::positions,
                              .rows = rows,
                              .cols = hidden,
                              .cut = Cut::cols,
                              .shape = {1, rows, hidden}});
    return module;
}

ModuleSpec norm(VisionConfig const& config, std::string name, std::string const& tensor,
                std::string const& scale) {
    ModuleSpec module{.name = std::move(name), .kind = ModuleKind::norm, .units = 1, .weights = {}};
    module.weights.push_back(vector_spec(tensor + ".weight", Role::norm, config.hidden));
    if (config.norm == VisionConfig::Norm::layer) {
        module.weights.push_back(vector_spec(tensor + ".bias", Role::norm_bias, config.hidden));
    }
    module.weights.push_back(vector_spec(scale, Role::scale, config.hidden));
    return module;
}

void add_qkv(ModuleSpec& module, VisionConfig const& config, std::string const& prefix) {
    auto const& names = config.names;
    LinearSpec part{Role::qkv,     Role::qkv_bias, config.hidden,
                    config.hidden, Cut::rows,      config.head_dim};
    if (names.qkv.empty()) {
        for (auto const& name : {names.query, names.key, names.value}) {
            add_linear(module, prefix + name, part, config.qkv_bias);
        }
        return;
    }
    part.tensor_rows = 3 * config.hidden;
    for (; part.first_row < part.tensor_rows; part.first_row += part.rows) {
        add_linear(module, prefix + names.qkv, part, config.qkv_bias);
    }
}

/// A norm of all heads together is cut like q and k.
void add_qk_norm(ModuleSpec& module, VisionConfig const& config, std::string const& tensor,
                 Role role) {
    auto norm = vector_spec(tensor + ".weight", role, config.hidden);
    norm.cut = Cut::rows;
    norm.rows_or_cols_per_unit = config.head_dim;
    module.weights.push_back(std::move(norm));
}

ModuleSpec attention(VisionConfig const& config, std::string name, std::string const& prefix) {
    ModuleSpec module{.name = std::move(name),
                      .kind = ModuleKind::attention,
                      .units = config.heads,
                      .weights = {}};
    add_qkv(module, config, prefix);
    if (config.qk_norm == QkNorm::whole) {
        add_qk_norm(module, config, prefix + config.names.query_norm, Role::query_norm);
        add_qk_norm(module, config, prefix + config.names.key_norm, Role::key_norm);
    }
    add_linear(
        module, prefix + config.names.output,
        {Role::output, Role::output_bias, config.hidden, config.hidden, Cut::cols, config.head_dim},
        true);
    return module;
}

ModuleSpec mlp(VisionConfig const& config, std::string name, std::string const& prefix) {
    std::size_t const inner = config.intermediate, hidden = config.hidden;
    ModuleSpec module{
        .name = std::move(name), .kind = ModuleKind::mlp, .units = inner, .weights = {}};
    add_linear(module, prefix + config.names.up, {Role::up, Role::up_bias, inner, hidden}, true);
    add_linear(module, prefix + config.names.down,
               {Role::down, Role::down_bias, hidden, inner, Cut::cols}, true);
    return module;
}

/// Its norm is whole on every rank that has a part of the rest.
ModuleSpec projector(VisionConfig const& config) {
    auto const& names = config.names;
    std::size_t const shuffled = config.shuffled(), features = config.features;
    ModuleSpec module{.name = "vision.projector",
                      .kind = ModuleKind::projector,
                      .units = features,
                      .weights = {}};
    module.weights.push_back(vector_spec(names.projector_norm + ".weight", Role::norm, shuffled));
    module.weights.push_back(
        vector_spec(names.projector_norm + ".bias", Role::norm_bias, shuffled));
    add_linear(module, names.projector_up, {Role::up, Role::up_bias, features, shuffled}, true);
    add_linear(module, names.projector_down,
               {Role::down, Role::down_bias, features, features, Cut::cols}, true);
    return module;
}

}  // namespace

std::vector<ModuleSpec> describe_vision(DecoderConfig const& config) {
    std::vector<ModuleSpec> modules;
    if (!config.vision) return modules;
    auto const& vision = *config.vision;
    modules.push_back(patch_embedding(vision));
    for (std::size_t layer = 0; layer < vision.layers; ++layer) {
        auto const module = "vision.layers." + std::to_string(layer) + ".";
        auto const& names = vision.names;
        auto const prefix = names.layer_prefix + std::to_string(layer) + ".";
        modules.push_back(norm(vision, module + "attention_norm", prefix + names.attention_norm,
                               prefix + names.attention_scale));
        modules.push_back(attention(vision, module + "attention", prefix));
        modules.push_back(
            norm(vision, module + "mlp_norm", prefix + names.mlp_norm, prefix + names.mlp_scale));
        modules.push_back(mlp(vision, module + "mlp", prefix));
    }
    modules.push_back(projector(vision));
    return modules;
}

}  // namespace tesserank::model
