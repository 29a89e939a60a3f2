#include "io/model_file/report.hpp"

#include "io/model_file/format.hpp"
#include "io/model_file/set_index.hpp"
#include "io/model_file/tensor_groups.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <iomanip>
#include <map>
#include <numeric>
#include <sstream>

namespace tesserank::io {
namespace {

using nlohmann::json;

/// What tells models apart at a glance; the rest of config.json is in the JSON report.
constexpr std::array brief_keys{"architectures",
                                "model_type",
                                "hidden_size",
                                "intermediate_size",
                                "num_hidden_layers",
                                "num_attention_heads",
                                "num_key_value_heads",
                                "head_dim",
                                "num_local_experts",
                                "num_experts",
                                "max_position_embeddings",
                                "sliding_window",
                                "vocab_size",
                                "image_size",
                                "tie_word_embeddings"};
constexpr std::array parts_of_config{"text_config", "llm_config", "vision_config"};

std::size_t sum_of(ModelIndex const& index, std::size_t (*size)(StoredTensor const&)) {
    return std::transform_reduce(index.all_tensors().begin(), index.all_tensors().end(),
                                 std::size_t{0}, std::plus{}, size);
}
std::size_t parameters_of(StoredTensor const& tensor) { return tensor.elements(); }
std::size_t bytes_of(StoredTensor const& tensor) { return tensor.bytes; }

std::string shape_text(StoredTensor const& tensor) {
    std::string text = "[";
    for (auto const size : tensor.shape) {
        text += (text.size() == 1 ? "" : ", ") + std::to_string(size);
    }
    return text + "]";
}

/// null where it is not JSON.
json config_of(ModelIndex const& index) {
    auto config = json::parse(index.documents.at("config"), nullptr, false);
    return config.is_discarded() ? json() : config;
}

void print_config(std::ostream& out, std::string const& title, json const& config) {
    out << std::left << std::setw(14) << title;
    std::string separator;
    for (auto const* key : brief_keys) {
        auto const found = config.find(key);
        if (found == config.end() || found->is_null() || found->is_object()) continue;
        // ASCII with escapes: a config comes from outside and must not steer the terminal.
        out << separator << key << ' ' << found->dump(-1, ' ', true);
        separator = ", ";
    }
    out << '\n';
    for (auto const* part : parts_of_config) {
        auto const found = config.find(part);
        if (found != config.end() && found->is_object()) print_config(out, part, *found);
    }
}

void print_head(std::ostream& out, ModelIndex const& index) {
    std::map<std::string_view, std::size_t> bytes_by_dtype;
    for (auto const& tensor : index.all_tensors()) {
        bytes_by_dtype[kernels::name_of(tensor.dtype)] += tensor.bytes;
    }
    out << std::left << std::setw(14) << "file" << index.path << ", " << index.file_bytes
        << " bytes, made by " << json(index.created_by).dump(-1, ' ', true) << '\n';
    if (index.set) {
        out << std::setw(14) << "set" << index.set->files.size() << " files for "
            << index.set->ranks << " ranks, placement "
            << json(index.set->placement).dump(-1, ' ', true) << '\n';
    }
    auto const config = config_of(index);
    if (config.is_object()) print_config(out, "config", config);
    out << std::setw(14) << "texts";
    for (auto const& [name, text] : index.documents) {
        out << (name == index.documents.begin()->first ? "" : ", ") << name << " (" << text.size()
            << " bytes)";
    }
    out << '\n';
    for (auto const& source : index.sources) {
        out << std::setw(14) << "source" << json(source.name).dump(-1, ' ', true) << " sha256 "
            << json(source.sha256).dump(-1, ' ', true) << '\n';
    }
    out << std::setw(14) << "parameters" << sum_of(index, parameters_of) << " in "
        << index.all_tensors().size() << " tensors\n";
    out << std::setw(14) << "weight bytes" << sum_of(index, bytes_of);
    for (auto const& [dtype, bytes] : bytes_by_dtype) out << ", " << dtype << ' ' << bytes;
    out << "\n\n";
}

std::vector<TensorGroup> rows_of(ModelIndex const& index, TensorRows rows) {
    if (rows == TensorRows::grouped) return group_tensors(index.all_tensors());
    std::vector<TensorGroup> singles;
    singles.reserve(index.all_tensors().size());
    for (auto const& tensor : index.all_tensors()) singles.push_back({tensor.name, &tensor, 1});
    return singles;
}

json to_json(StoredTensor const& tensor) {
    return {{"name", tensor.name},
            {"dtype", kernels::name_of(tensor.dtype)},
            {"shape", tensor.shape},
            {"parameters", tensor.elements()},
            {"bytes", tensor.bytes},
            {"offset", tensor.offset},
            {"block_bytes", tensor.block_bytes},
            {"blocks", tensor.checksums.size()}};
}

json set_to_json(SetIndex const& set) {
    json files = json::array();
    for (auto const& file : set.files) {
        files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
    }
    return {{"folder", set.folder},
            {"ranks", set.ranks},
            {"placement", set.placement},
            {"model_sha256", set.model_sha256},
            {"plan", json::parse(set.plan, nullptr, false)},
            {"files", std::move(files)}};
}

}  // namespace

std::string model_report(ModelIndex const& index, TensorRows rows) {
    std::ostringstream out;
    print_head(out, index);
    auto const groups = rows_of(index, rows);
    std::size_t widest = 6;
    for (auto const& group : groups) widest = std::max(widest, group.name.size());
    auto const name_width = static_cast<int>(widest) + 2;
    out << std::setw(name_width) << "tensor" << std::setw(7) << "dtype" << std::setw(20) << "shape"
        << "parameters\n";
    for (auto const& group : groups) {
        out << std::setw(name_width) << group.name << std::setw(7)
            << kernels::name_of(group.example->dtype) << std::setw(20) << shape_text(*group.example)
            << group.example->elements();
        if (group.count > 1) out << " x " << group.count;
        out << '\n';
    }
    return out.str();
}

std::string model_report_json(ModelIndex const& index) {
    json report{{"path", index.path},
                {"file_bytes", index.file_bytes},
                {"format_version", model_format_version},
                {"created_by", index.created_by},
                {"parameters", sum_of(index, parameters_of)},
                {"weight_bytes", sum_of(index, bytes_of)},
                {"sources", json::array()},
                {"documents", json::object()},
                {"config", config_of(index)},
                {"tensors", json::array()}};
    for (auto const& source : index.sources) {
        report["sources"].push_back({{"name", source.name}, {"sha256", source.sha256}});
    }
    for (auto const& [name, text] : index.documents) report["documents"][name] = text.size();
    for (auto const& tensor : index.all_tensors()) report["tensors"].push_back(to_json(tensor));
    if (index.set) report["set"] = set_to_json(*index.set);
    return report.dump(2, ' ', true, json::error_handler_t::replace);
}

}  // namespace tesserank::io
