#include "model/weight_store.hpp"

#include "kernels/error.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

namespace tesserank::model {
namespace {

using kernels::DType;
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

WeightStore::WeightStore(kernels::Backend& backend, WeightSource& source, int rank, int ranks,
                         WeightFormat format)
    : backend_{backend}, source_{source}, rank_{rank}, ranks_{ranks}, format_{format} {}

std::vector<WeightRequest> WeightStore::Stack::into(TensorView whole) const {
    auto placed = requests;
    for (std::size_t i = 0, first = 0; i < placed.size(); first += heights[i], ++i) {
        placed[i].destination = vector ? column(whole.cols_from(first, heights[i]))
                                       : whole.rows_from(first, heights[i]);
    }
    return placed;
}

std::size_t WeightStore::Stage::bytes() const {
    std::size_t bytes = 0;
    for (auto const& weight : weights) bytes += bytes_waiting(weight.stack.bytes());
    return bytes;
}

kernels::DType WeightStore::check(WeightSpec const& weight) const {
    auto const found = source_.tensors().find(weight.tensor);
    if (found == source_.tensors().end()) {
        throw InputError("tensor " + weight.tensor +
                         " is missing from the model file, but its config.json needs it");
    }
    auto const expected = weight.shape_in_file();
    if (found->second.shape != expected) {
        throw InputError("tensor " + weight.tensor + " has shape " +
                         shape_text(found->second.shape) + ", but config.json says " +
                         shape_text(expected));
    }
    return found->second.dtype;
}

WeightStore::Stack WeightStore::stack_of(ModuleSpec const& module, Role role, Placement placement) {
    std::vector<WeightSpec> weights;
    std::ranges::copy_if(module.weights, std::back_inserter(weights),
                         [role](auto const& weight) { return weight.role == role; });
    Stack stack;
    if (weights.empty()) return stack;
    stack.dtype = check(weights.front());
    stack.vector = weights.front().vector;
    for (auto const& weight : weights) {
        if (check(weight) != stack.dtype) {
            throw InputError("tensors " + weights.front().tensor + " and " + weight.tensor +
                             " have different dtypes; convert the model with --dtype");
        }
        stack.requests.push_back(
            {weight.tensor, regions_of(weight, module.units, placement, ranks_), {}});
        auto const& mine = stack.requests.back().regions[static_cast<std::size_t>(rank_)];
        // A surplus rank keeps the dimension that is not cut, so that its product with nothing has
        // the right shape. A rank without the module keeps nothing.
        bool const surplus = placement == Placement::shard;
        stack.heights.push_back(surplus && weight.cut == Cut::cols ? weight.rows : mine.rows.count);
        stack.cols = weight.cut == Cut::cols ? mine.cols.count : weight.cols;
    }
    stack.rows = std::accumulate(stack.heights.begin(), stack.heights.end(), std::size_t{0});
    if (stack.vector) stack.cols = std::exchange(stack.rows, 1);
    return stack;
}

TensorView WeightStore::allocate(DType dtype, std::size_t rows, std::size_t cols) {
    tensors_.push_back(make_tensor(backend_, dtype, rows, cols));
    bytes_ += tensors_.back().view.bytes();
    return tensors_.back().view;
}

TensorView WeightStore::add(ModuleSpec const& module, Role role, Placement placement) {
    auto const stack = stack_of(module, role, placement);
    if (stack.requests.empty()) return {};
    auto const whole = allocate(stack.dtype, stack.rows, stack.cols);
    std::ranges::move(stack.into(whole), std::back_inserter(requests_));
    return whole;
}

LinearWeights WeightStore::add_linear(ModuleSpec const& module, Role role, Role bias,
                                      Placement placement) {
    if (!is_quantised(format_, role)) {
        auto const weight = add(module, role, placement);
        return {weight, add(module, bias, placement)};
    }
    Quantised quantised{stack_of(module, role, placement), {}, {}};
    auto const& stack = quantised.stack;
    if (stack.bytes() == 0) {
        // Nothing to scale, but the shape counts.
        quantised.weight = allocate(stack.dtype, stack.rows, stack.cols);
    } else {
        quantised.weight = allocate(DType::f8e4m3, stack.rows, stack.cols);
        quantised.scales = allocate(DType::f32, 1, stack.rows);
    }
    LinearWeights const weights{quantised.weight, add(module, bias, placement), quantised.scales};
    if (stages_.empty() || stages_.back().module != module.name) {
        stages_.push_back({module.name, {}});
    }
    stages_.back().weights.push_back(std::move(quantised));
    return weights;
}

TensorView WeightStore::add_rows(ModuleSpec const& module, Role role,
                                 std::span<parallel::Range const> rows_by_rank) {
    auto const weight = std::ranges::find(module.weights, role, &WeightSpec::role);
    kernels::require(weight != module.weights.end(), "the module has no such weight");
    auto const dtype = check(*weight);
    WeightRequest request{weight->tensor, {}, {}};
    for (auto const rows : rows_by_rank) request.regions.push_back({rows, {0, weight->cols}});
    auto const rows = rows_by_rank[static_cast<std::size_t>(rank_)].count;
    request.destination = allocate(dtype, rows, weight->cols);
    requests_.push_back(std::move(request));
    return requests_.back().destination;
}

void WeightStore::prepare_load() {
    std::size_t most = 0;
    for (auto const& stage : stages_) most = std::max(most, stage.bytes());
    buffer_ = backend_.allocate(most);
}

void WeightStore::load() {
    source_.load(requests_);
    requests_.clear();
    for (auto const& stage : stages_) load(stage);
    stages_.clear();
    buffer_.reset();
}

void WeightStore::load(Stage const& stage) {
    std::vector<TensorView> stored;
    std::vector<WeightRequest> requests;
    std::byte* next = buffer_.get();
    for (auto const& [stack, weight, scales] : stage.weights) {
        stored.push_back({{next, stack.dtype, stack.rows, stack.cols, stack.cols}});
        std::ranges::move(stack.into(stored.back()), std::back_inserter(requests));
        next += bytes_waiting(stack.bytes());
    }
    source_.load(requests);
    for (std::size_t i = 0; i < stored.size(); ++i) {
        auto const& [stack, weight, scales] = stage.weights[i];
        if (stack.bytes() > 0) backend_.quantise_rows(stored[i], weight, scales);
    }
    // The next module comes into the same buffer, and GEMMs may read weights early.
    backend_.synchronize();
}

}  // namespace tesserank::model
