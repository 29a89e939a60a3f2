#include "model/weight_store.hpp"

#include "kernels/error.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

namespace tesserank::model {
namespace {

using kernels::InputError;
using kernels::TensorView;

std::string shape_text(std::vector<std::size_t> const& shape) {
    std::string text = "[";
    for (auto const size : shape) text += (text.size() == 1 ? "" : ", ") + std::to_string(size);
    return text + "]";
}

/// A vector is a row for the operations and a column for the loader.
TensorView column(TensorView row) { return {{row.data, row.dtype, row.cols, 1, 1}}; }

}  // namespace

WeightStore::WeightStore(kernels::Backend& backend, WeightSource& source, int rank, int ranks)
    : backend_{backend}, source_{source}, rank_{rank}, ranks_{ranks} {}

kernels::DType WeightStore::check(WeightSpec const& weight) const {
    auto const found = source_.tensors().find(weight.tensor);
    if (found == source_.tensors().end()) {
        throw InputError("tensor " + weight.tensor +
                         " is missing from the model file, but its config.json needs it");
    }
    std::vector<std::size_t> expected{weight.rows};
    if (!weight.vector) expected.push_back(weight.cols);
    if (found->second.shape != expected) {
        throw InputError("tensor " + weight.tensor + " has shape " +
                         shape_text(found->second.shape) + ", but config.json says " +
                         shape_text(expected));
    }
    return found->second.dtype;
}

TensorView WeightStore::add(ModuleSpec const& module, Role role, Placement placement) {
    std::vector<WeightSpec> stack;
    std::ranges::copy_if(module.weights, std::back_inserter(stack),
                         [role](auto const& weight) { return weight.role == role; });
    if (stack.empty()) return {};
    auto const dtype = check(stack.front());
    bool const vector = stack.front().vector;
    std::vector<WeightRequest> requests;
    std::vector<std::size_t> heights;
    std::size_t cols = 0;
    for (auto const& weight : stack) {
        if (check(weight) != dtype) {
            throw InputError("tensors " + stack.front().tensor + " and " + weight.tensor +
                             " have different dtypes; convert the model with --dtype");
        }
        requests.push_back(
            {weight.tensor, regions_of(weight, module.units, placement, ranks_), {}});
        auto const& mine = requests.back().regions[static_cast<std::size_t>(rank_)];
        // A surplus rank keeps the dimension that is not cut, so that its product with nothing has
        // the right shape. A rank without the module keeps nothing.
        bool const surplus = placement == Placement::shard;
        heights.push_back(surplus && weight.cut == Cut::cols ? weight.rows : mine.rows.count);
        cols = weight.cut == Cut::cols ? mine.cols.count : weight.cols;
        used_.insert(weight.tensor);
    }
    auto const rows = std::accumulate(heights.begin(), heights.end(), std::size_t{0});
    auto tensor =
        vector ? make_tensor(backend_, dtype, 1, rows) : make_tensor(backend_, dtype, rows, cols);
    for (std::size_t i = 0, first = 0; i < stack.size(); first += heights[i], ++i) {
        requests[i].destination = vector ? column(tensor.view.cols_from(first, heights[i]))
                                         : tensor.view.rows_from(first, heights[i]);
    }
    std::ranges::move(requests, std::back_inserter(requests_));
    bytes_ += tensor.view.bytes();
    tensors_.push_back(std::move(tensor));
    return tensors_.back().view;
}

TensorView WeightStore::add_rows(ModuleSpec const& module, Role role,
                                 std::span<parallel::Range const> rows_by_rank) {
    auto const weight = std::ranges::find(module.weights, role, &WeightSpec::role);
    kernels::require(weight != module.weights.end(), "the module has no such weight");
    auto const dtype = check(*weight);
    WeightRequest request{weight->tensor, {}, {}};
    for (auto const rows : rows_by_rank) request.regions.push_back({rows, {0, weight->cols}});
    auto const rows = rows_by_rank[static_cast<std::size_t>(rank_)].count;
    auto tensor = make_tensor(backend_, dtype, rows, weight->cols);
    request.destination = tensor.view;
    requests_.push_back(std::move(request));
    used_.insert(weight->tensor);
    bytes_ += tensor.view.bytes();
    tensors_.push_back(std::move(tensor));
    return tensors_.back().view;
}

void WeightStore::check_all_used(std::span<std::string const> known_extras) const {
    std::string unknown;
    for (auto const& [name, info] : source_.tensors()) {
        bool const frequencies = name.ends_with("rotary_emb.inv_freq");
        if (used_.contains(name) || frequencies ||
            std::ranges::find(known_extras, name) != known_extras.end()) {
            continue;
        }
        unknown += (unknown.empty() ? "" : ", ") + name;
        if (unknown.size() > 300) {
            unknown += ", ...";
            break;
        }
    }
    if (!unknown.empty()) {
        throw InputError("the model file has tensors that its config.json does not account for: " +
                         unknown + "; the model would compute something else without them");
    }
}

void WeightStore::load() {
    source_.load(requests_);
    requests_.clear();
}

}  // namespace tesserank::model
