#include "kernels/contracts.hpp"
#include "kernels/reference/reference_backend.hpp"
#include "kernels/rows.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace tesserank::kernels::reference {
namespace {

/// One kv head's keys and values at the positions that one query sees.
struct Visible {
    ConstTensorView k;  ///< [positions, D]
    ConstTensorView v;  ///< [positions, D]
};

/// softmax(scale q k^T) v
std::vector<float> attend(std::span<float const> q, Visible const& visible, float scale) {
    std::vector<float> element(q.size());
    std::vector<double> weight(visible.k.rows);
    for (std::size_t p = 0; p < weight.size(); ++p) {
        load_row(visible.k, p, element);
        for (std::size_t d = 0; d < q.size(); ++d) {
            weight[p] += static_cast<double>(q[d]) * static_cast<double>(element[d]);
        }
        weight[p] *= static_cast<double>(scale);
    }
    double const largest = *std::max_element(weight.begin(), weight.end());
    double sum = 0.0;
    for (double& value : weight) {
        value = std::exp(value - largest);
        sum += value;
    }
    std::vector<double> mix(q.size());
    for (std::size_t p = 0; p < weight.size(); ++p) {
        load_row(visible.v, p, element);
        for (std::size_t d = 0; d < q.size(); ++d) {
            mix[d] += weight[p] / sum * static_cast<double>(element[d]);
        }
    }
    return {mix.begin(), mix.end()};
}

}  // namespace

void ReferenceBackend::store_kv(ConstTensorView k, ConstTensorView v, Segments const& segments,
                                TensorView k_cache, TensorView v_cache) {
    contracts::store_kv(k, v, {k_cache, v_cache});
    contracts::segments_inside(segments, k.rows, k_cache.rows);
    std::vector<float> row(k.cols);
    for (auto const& segment : std::span(segments.list.data, segments.list.size)) {
        for (std::size_t i = 0; i < segment.tokens; ++i) {
            std::size_t const from = segment.row + i;
            std::size_t const to = segment.cache_row + segment.first_position + i;
            load_row(k, from, row);
            store_row(row, k_cache, to);
            load_row(v, from, row);
            store_row(row, v_cache, to);
        }
    }
}

void ReferenceBackend::attention_prefill(ConstTensorView q, ConstTensorView k_cache,
                                         ConstTensorView v_cache, Segments const& segments,
                                         AttentionShape const& shape, TensorView y) {
    contracts::attention(q, {k_cache, v_cache}, shape, y);
    contracts::segments_inside(segments, q.rows, k_cache.rows);
    std::size_t const dim = shape.head_dim;
    std::vector<float> query(dim);
    for (auto const& segment : std::span(segments.list.data, segments.list.size)) {
        for (std::size_t i = 0; i < segment.tokens; ++i) {
            std::size_t const row = segment.row + i;
            std::size_t const end =
                segment.first_position + (shape.causal ? i + 1 : segment.tokens);
            std::size_t const begin =
                shape.window > 0 && end > shape.window ? end - shape.window : 0;
            for (std::size_t head = 0; head < shape.query_heads; ++head) {
                std::size_t const kv_head = (shape.first_query + head) / shape.queries_per_kv;
                auto const of_head = [&](ConstTensorView const& cache) {
                    return cache.rows_from(segment.cache_row + begin, end - begin)
                        .cols_from(kv_head * dim, dim);
                };
                load_row(q.cols_from(head * dim, dim), row, query);
                auto const mix = attend(query, {of_head(k_cache), of_head(v_cache)}, shape.scale);
                store_row(mix, y.cols_from(head * dim, dim), row);
            }
        }
    }
}

void ReferenceBackend::attention_decode(ConstTensorView q, ConstTensorView k_cache,
                                        ConstTensorView v_cache, Segments const& segments,
                                        AttentionShape const& shape, TensorView y) {
    contracts::single_tokens(segments);
    attention_prefill(q, k_cache, v_cache, segments, shape, y);
}

}  // namespace tesserank::kernels::reference
