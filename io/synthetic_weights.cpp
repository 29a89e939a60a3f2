#include "io/synthetic_weights.hpp"

#include "io/run_on_threads.hpp"
#include "kernels/error.hpp"
#include "kernels/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace tesserank::io {
namespace {

using kernels::require;
using model::Role;

/// Elements that threads draw together, and that are then copied: some megabytes.
constexpr std::size_t drawn_at_once = std::size_t{1} << 22U;

/// Random bits for a number. Some 100 million are needed for each plan of a small model, so not the
/// generator that draws tokens. Source: SplitMix64, Steele et al. 2014,
/// https://doi.org/10.1145/2714064.2660195
std::uint64_t random_bits(std::uint64_t number) {
    number = (number ^ (number >> 30U)) * 0xBF58476D1CE4E5B9U;
    number = (number ^ (number >> 27U)) * 0x94D049BB133111EBU;
    return number ^ (number >> 31U);
}

/// Between -1 and 1, for the element at this place of a tensor.
float draw(std::uint64_t stream, std::size_t place) {
    auto const bits = random_bits(stream + 0x9E3779B97F4A7C15U * (place + 1));
    return static_cast<float>(static_cast<std::int32_t>(bits >> 32U)) * 0x1p-31F;
}

bool is_norm(Role role) {
    return role == Role::norm || role == Role::query_norm || role == Role::key_norm;
}

}  // namespace

SyntheticWeights::Values SyntheticWeights::values_of(model::WeightSpec const& weight) {
    auto const stream = kernels::stream_of(weight.tensor);
    if (is_norm(weight.role)) return {stream, 1.0F, 0.5F};
    if (weight.vector) return {stream, 0.0F, 0.5F};
    // A product with inputs near 1 is near 1, too.
    auto const depth = static_cast<float>(std::max<std::size_t>(weight.cols, 1));
    return {stream, 0.0F, std::sqrt(3.0F / depth)};
}

SyntheticWeights::SyntheticWeights(std::span<model::ModuleSpec const> modules,
                                   model::DTypeOf const& dtype_of, int rank,
                                   kernels::Backend& backend)
    : rank_{rank}, backend_{backend} {
    for (auto const& module : modules) {
        for (auto const& weight : module.weights) {
            infos_[weight.tensor] = {dtype_of(weight.tensor), weight.shape_in_file()};
            values_[weight.tensor] = values_of(weight);
        }
    }
}

void SyntheticWeights::load(std::span<model::WeightRequest const> requests) {
    for (auto const& request : requests) {
        require(values_.contains(request.tensor), "the model has no tensor " + request.tensor);
        auto const& [rows, cols] = request.regions[static_cast<std::size_t>(rank_)];
        if (rows.count == 0 || cols.count == 0) continue;
        auto const& to = request.destination;
        require(rows.count == to.rows && cols.count == to.cols,
                "the destination of " + request.tensor + " is not its region");
        kernels::visit_dtype(to.dtype, [&]<class Element>(Element) {
            fill<Element>(request, {rows, cols});
        });
    }
}

template <class Element>
void SyntheticWeights::fill(model::WeightRequest const& request, model::Region const& region) {
    auto const [stream, center, spread] = values_.find(request.tensor)->second;
    auto const& shape = infos_.find(request.tensor)->second.shape;
    std::size_t const width = model::matrix_of(shape).cols;
    std::size_t const cols = region.cols.count;
    std::size_t const at_once = std::clamp<std::size_t>(drawn_at_once / cols, 1, region.rows.count);
    std::vector<Element> drawn(at_once * cols);
    for (std::size_t done = 0; done < region.rows.count; done += at_once) {
        std::size_t const rows = std::min(at_once, region.rows.count - done);
        run_on_threads(rows, [&](std::size_t r) {
            std::size_t const first = (region.rows.begin + done + r) * width + region.cols.begin;
            for (std::size_t c = 0; c < cols; ++c) {
                drawn[r * cols + c] =
                    kernels::from_float<Element>(center + spread * draw(stream, first + c));
            }
        });
        auto const bytes = std::as_bytes(std::span(std::as_const(drawn)).first(rows * cols));
        auto const to = request.destination.rows_from(done, rows);
        if (to.contiguous()) {
            backend_.copy_from_host(bytes, to.data);
            continue;
        }
        std::size_t const row_bytes = bytes.size() / rows;
        for (std::size_t r = 0; r < rows; ++r) {
            backend_.copy_from_host(bytes.subspan(r * row_bytes, row_bytes),
                                    to.rows_from(r, 1).data);
        }
    }
}

}  // namespace tesserank::io
