#include "kernels/error.hpp"
#include "model/module_parts.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

namespace tesserank::model {
namespace {

ModuleSpec norm_module(std::string name, std::string tensor, std::size_t size) {
    return {.name = std::move(name),
            .kind = ModuleKind::norm,
            .units = 1,
            .weights = {vector_spec(std::move(tensor), Role::norm, size)}};
}

/// A norm of each head is whole on every rank, one of all heads cut like q and k.
void add_qk_norms(ModuleSpec& module, DecoderConfig const& config, std::string const& prefix) {
    if (config.qk_norm == QkNorm::none) return;
    bool const whole = config.qk_norm == QkNorm::whole;
    auto const add = [&](std::string const& tensor, Role role, std::size_t heads,
                         std::size_t share) {
        auto norm = vector_spec(prefix + tensor, role, (whole ? heads : 1) * config.head_dim);
        if (whole) {
            norm.cut = Cut::rows;
            norm.rows_or_cols_per_unit = config.head_dim;
            norm.units_per_share = share;
        }
        module.weights.push_back(std::move(norm));
    };
    add(config.names.query_norm, Role::query_norm, config.query_heads, 1);
    add(config.names.key_norm, Role::key_norm, config.kv_heads, config.queries_per_kv());
}

/// q, k and v one after the other, as they are stacked, from a tensor that has them by kv head: for
/// each its query heads, k and v.
void add_interleaved_qkv(ModuleSpec& module, DecoderConfig const& config,
                         std::string const& tensor) {
    std::size_t const dim = config.head_dim, queries = config.queries_per_kv();
    std::size_t const block = (queries + 2) * dim;
    auto const add = [&](std::size_t row_in_block, std::size_t heads, std::size_t share) {
        for (std::size_t kv = 0; kv < config.kv_heads; ++kv) {
            add_linear(module, tensor,
                       {.weight = Role::qkv,
                        .bias = Role::qkv_bias,
                        .rows = heads * dim,
                        .cols = config.hidden,
                        .per_unit = dim,
                        .share = share,
                        .first_row = kv * block + row_in_block,
                        .first_unit = kv * queries,
                        .tensor_rows = config.kv_heads * block},
                       config.qkv_bias);
        }
    };
    add(0, queries, 1);
    add(queries * dim, 1, queries);
    add((queries + 1) * dim, 1, queries);
}

void add_qkv(ModuleSpec& module, DecoderConfig const& config, std::string const& prefix) {
    auto const& names = config.names;
    if (!names.qkv.empty()) return add_interleaved_qkv(module, config, prefix + names.qkv);
    LinearSpec const query{.weight = Role::qkv,
                           .bias = Role::qkv_bias,
                           .rows = config.query_heads * config.head_dim,
                           .cols = config.hidden,
                           .per_unit = config.head_dim};
    LinearSpec key = query;
    key.rows = config.kv_heads * config.head_dim;
    key.share = config.queries_per_kv();
    add_linear(module, prefix + names.query, query, config.qkv_bias);
    add_linear(module, prefix + names.key, key, config.qkv_bias);
    add_linear(module, prefix + names.value, key, config.qkv_bias);
}

/// q, k, v are cut by heads, and a kv head goes to every rank with one of its query heads.
ModuleSpec attention_module(DecoderConfig const& config, std::string name,
                            std::string const& prefix) {
    std::size_t const dim = config.head_dim;
    ModuleSpec module{.name = std::move(name),
                      .kind = ModuleKind::attention,
                      .units = config.query_heads,
                      .weights = {}};
    add_qkv(module, config, prefix);
    add_qk_norms(module, config, prefix);
    add_linear(
        module, prefix + config.names.output,
        {Role::output, Role::output_bias, config.hidden, config.query_heads * dim, Cut::cols, dim},
        config.output_bias);
    return module;
}

ModuleSpec mlp_module(DecoderConfig const& config, std::string name, std::string const& prefix) {
    ModuleSpec module{.name = std::move(name),
                      .kind = ModuleKind::mlp,
                      .units = config.intermediate,
                      .weights = {}};
    LinearSpec const up{Role::gate_up, Role::gate_up_bias, config.intermediate, config.hidden,
                        Cut::rows};
    add_linear(module, prefix + config.names.gate, up, config.mlp_bias);
    add_linear(module, prefix + config.names.up, up, config.mlp_bias);
    add_linear(module, prefix + config.names.down,
               {Role::down, Role::down_bias, config.hidden, config.intermediate, Cut::cols},
               config.mlp_bias);
    return module;
}

ModuleSpec vocabulary_module(DecoderConfig const& config, std::string name, ModuleKind kind,
                             std::string tensor) {
    return {.name = std::move(name),
            .kind = kind,
            .units = config.vocabulary,
            .weights = {{.tensor = std::move(tensor),
                         .role = Role::table,
                         .rows = config.vocabulary,
                         .cols = config.hidden,
                         .cut = Cut::rows}}};
}

}  // namespace

std::vector<std::size_t> WeightSpec::shape_in_file() const {
    if (!shape.empty()) return shape;
    return vector ? std::vector{rows} : std::vector{rows, cols};
}

std::optional<LayerName> layer_of(std::string_view module) {
    constexpr std::string_view mark = "layers.";
    auto const found = module.find(mark);
    if (found == std::string_view::npos) return std::nullopt;
    std::size_t const stack = found + mark.size();
    LayerName name{.stack = module.substr(0, stack), .layer = 0, .part = {}};
    module.remove_prefix(stack);
    auto const [end, error] =
        std::from_chars(module.data(), module.data() + module.size(), name.layer);
    auto const digits = static_cast<std::size_t>(end - module.data());
    if (error != std::errc{} || digits == module.size()) return std::nullopt;
    name.part = module.substr(digits + 1);
    return name;
}

std::vector<ModuleSpec> describe_text(DecoderConfig const& config) {
    auto const& names = config.names;
    std::vector<ModuleSpec> modules;
    modules.push_back(
        vocabulary_module(config, "embedding", ModuleKind::embedding, names.embedding));
    for (std::size_t layer = 0; layer < config.layers; ++layer) {
        auto const module = "layers." + std::to_string(layer) + ".";
        auto const prefix = names.layer_prefix + std::to_string(layer) + ".";
        modules.push_back(
            norm_module(module + "attention_norm", prefix + names.attention_norm, config.hidden));
        modules.push_back(attention_module(config, module + "attention", prefix));
        modules.push_back(norm_module(module + "mlp_norm", prefix + names.mlp_norm, config.hidden));
        modules.push_back(mlp_module(config, module + "mlp", prefix));
    }
    modules.push_back(norm_module("norm", names.final_norm, config.hidden));
    modules.push_back(vocabulary_module(config, "lm_head", ModuleKind::lm_head,
                                        config.tied_embeddings ? names.embedding : names.lm_head));
    return modules;
}

ModuleSpec const& find_module(std::span<ModuleSpec const> modules, std::string_view name) {
    auto const found = std::ranges::find(modules, name, &ModuleSpec::name);
    kernels::require(found != modules.end(), "no module of the name " + std::string(name));
    return *found;
}

std::vector<ModuleSpec> describe_modules(DecoderConfig const& config) {
    auto modules = describe_vision(config);
    std::ranges::move(describe_text(config), std::back_inserter(modules));
    return modules;
}

}  // namespace tesserank::model
