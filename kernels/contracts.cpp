#include "kernels/contracts.hpp"

#include <algorithm>
#include <vector>

namespace tesserank::kernels::contracts {
namespace {

using Where = std::source_location;

void same_shape(ConstTensorView const& a, ConstTensorView const& b,
                Where where = Where::current()) {
    require(a.rows == b.rows && a.cols == b.cols, "tensors have different shapes", where);
}

void is_f32(ConstTensorView const& x, Where where = Where::current()) {
    require(x.dtype == DType::f32, "tensor is not f32", where);
}

void has_no_scales(ConstTensorView const& x, Where where = Where::current()) {
    require(x.dtype != DType::f8e4m3, "f8e4m3 where an operation takes no scales", where);
}

void is_activation(ConstTensorView const& x, Where where = Where::current()) {
    require(x.dtype == DType::f32 || x.dtype == DType::bf16, "activation is neither f32 nor bf16",
            where);
}

void is_vector(ConstTensorView const& x, std::size_t cols, Where where = Where::current()) {
    require(x.rows == 1 && x.cols == cols, "vector has a wrong length", where);
}

/// Parts of one activation, or alike.
void alike(ConstTensorView const& a, ConstTensorView const& b, Where where = Where::current()) {
    is_activation(a, where);
    same_shape(a, b, where);
    require(a.dtype == b.dtype, "tensors have different dtypes", where);
}

void is_cache(CacheViews const& cache, Where where = Where::current()) {
    same_shape(cache.k, cache.v, where);
    is_activation(cache.k, where);
    require(cache.k.dtype == cache.v.dtype, "k and v caches have different dtypes", where);
}

void gemm_shapes(ConstTensorView const& x, ConstTensorView const& w, ConstTensorView const& bias,
                 TensorView const& y, Where where = Where::current()) {
    is_activation(y, where);
    require(x.rows == y.rows && x.cols == w.cols && w.rows == y.cols,
            "gemm of shapes that do not fit", where);
    if (bias.data == nullptr) return;
    is_vector(bias, w.rows, where);
    has_no_scales(bias, where);
}

void scaled_weights(ConstTensorView const& w8, ConstTensorView const& scales,
                    Where where = Where::current()) {
    is_f32(scales, where);
    is_vector(scales, w8.rows, where);
    require(w8.dtype == DType::f8e4m3, "weights with scales are f8e4m3", where);
}

void quantised_rows(QuantisedRows const& x, Where where = Where::current()) {
    is_f32(x.scales, where);
    is_vector(x.scales, x.values.rows, where);
    require(x.values.dtype == DType::f8e4m3, "quantised rows are f8e4m3", where);
}

void norm_terms(ConstTensorView const& x, ConstTensorView const& weight,
                ConstTensorView const& bias, Where where = Where::current()) {
    is_f32(x, where);
    is_vector(weight, x.cols, where);
    if (bias.data != nullptr) is_vector(bias, x.cols, where);
}

void sum_terms(ConstTensorView const& residual, ConstTensorView const& delta,
               Where where = Where::current()) {
    is_f32(delta, where);
    same_shape(residual, delta, where);
}

}  // namespace

void copy(ConstTensorView const& source, TensorView const& destination) {
    same_shape(source, destination);
    require(source.dtype == destination.dtype, "copy between different dtypes");
}

void embed(DeviceSpan<std::int32_t const> ids, ConstTensorView const& table, TensorView const& y) {
    is_f32(y);
    require(ids.size == y.rows, "embed needs one row of y for each id");
    require(table.cols == y.cols, "embedding table has another width than y");
    has_no_scales(table);
}

void gemm(ConstTensorView const& x, ConstTensorView const& w, ConstTensorView const& bias,
          TensorView const& y) {
    is_activation(x);
    gemm_shapes(x, w, bias, y);
    has_no_scales(w);
}

void quantise_rows(ConstTensorView const& w, TensorView const& w8, TensorView const& scales) {
    same_shape(w, w8);
    is_f32(scales);
    is_vector(scales, w.rows);
    has_no_scales(w);
    require(w8.dtype == DType::f8e4m3, "quantise_rows makes f8e4m3");
}

void gemm_scaled(ConstTensorView const& x, ConstTensorView const& w8, ConstTensorView const& scales,
                 ConstTensorView const& bias, TensorView const& y) {
    is_activation(x);
    gemm_shapes(x, w8, bias, y);
    scaled_weights(w8, scales);
}

void gemm_quantised(QuantisedRows const& x, ConstTensorView const& w8,
                    ConstTensorView const& scales, ConstTensorView const& bias,
                    TensorView const& y) {
    quantised_rows(x);
    gemm_shapes(x.values, w8, bias, y);
    scaled_weights(w8, scales);
}

void norm(ConstTensorView const& x, ConstTensorView const& weight, ConstTensorView const& bias,
          TensorView const& y) {
    norm_terms(x, weight, bias);
    is_activation(y);
    same_shape(x, y);
}

void add_norm(ConstTensorView const& residual, ConstTensorView const& delta,
              ConstTensorView const& weight, TensorView const& y) {
    sum_terms(residual, delta);
    norm(residual, weight, {}, y);
}

void norm_quantised(ConstTensorView const& x, ConstTensorView const& weight,
                    ConstTensorView const& bias, QuantisedRows const& y) {
    norm_terms(x, weight, bias);
    quantised_rows(y);
    same_shape(x, y.values);
}

void add_norm_quantised(ConstTensorView const& residual, ConstTensorView const& delta,
                        ConstTensorView const& weight, QuantisedRows const& y) {
    sum_terms(residual, delta);
    norm_quantised(residual, weight, {}, y);
}

void square_sums(ConstTensorView const& x, ConstTensorView const& sums) {
    is_activation(x);
    is_f32(sums);
    require(sums.rows == x.rows && sums.cols == 1, "one sum for each row is needed");
}

void scale_by_square_sums(ConstTensorView const& x, ConstTensorView const& sums, std::size_t width,
                          ConstTensorView const& weight) {
    square_sums(x, sums);
    require(x.cols <= width, "a part of a row is wider than the row");
    if (x.cols > 0) is_vector(weight, x.cols);
}

void head_norm(ConstTensorView const& x, std::size_t head_dim, ConstTensorView const& weight) {
    is_activation(x);
    require(head_dim > 0 && x.cols % head_dim == 0, "columns are not a multiple of head_dim");
    if (x.cols > 0) is_vector(weight, head_dim);
}

void add(ConstTensorView const& x, ConstTensorView const& y) {
    is_f32(x);
    is_f32(y);
    same_shape(x, y);
}

void add_scaled(ConstTensorView const& x, ConstTensorView const& y, ConstTensorView const& scale) {
    add(x, y);
    is_vector(scale, x.cols);
    has_no_scales(scale);
}

void rotary(ConstTensorView const& x, std::size_t head_dim, ConstTensorView const& cos_sin) {
    is_activation(x);
    is_f32(cos_sin);
    require(head_dim > 0 && head_dim % 2 == 0, "rotary needs an even head_dim");
    require(x.cols % head_dim == 0, "columns are not a multiple of head_dim");
    require(cos_sin.rows == x.rows && cos_sin.cols == head_dim,
            "cosines and sines do not fit the rows");
}

void activation(ConstTensorView const& x, TensorView const& y) {
    is_activation(x);
    is_activation(y);
    same_shape(x, y);
}

void gated_activation(ConstTensorView const& gate, ConstTensorView const& up, TensorView const& y) {
    alike(gate, up);
    activation(gate, y);
}

void store_kv(ConstTensorView const& k, ConstTensorView const& v, CacheViews const& cache) {
    alike(k, v);
    is_cache(cache);
    require(k.cols == cache.k.cols, "keys have another width than the KV cache");
}

void prepare_attention(ConstTensorView const& qkv, AttentionShape const& shape) {
    is_activation(qkv);
    require(qkv.cols == (shape.query_heads + 2 * shape.kv_heads) * shape.head_dim,
            "qkv does not hold query_heads and twice kv_heads heads");
}

void attention(ConstTensorView const& q, CacheViews const& cache, AttentionShape const& shape,
               TensorView const& y) {
    is_activation(q);
    is_activation(y);
    same_shape(q, y);
    is_cache(cache);
    require(cache.k.stride == cache.v.stride, "k and v caches have different strides");
    require(q.cols == shape.query_heads * shape.head_dim, "q does not hold query_heads heads");
    require(cache.k.cols == shape.kv_heads * shape.head_dim, "cache does not hold kv_heads heads");
    require(shape.queries_per_kv > 0, "queries_per_kv is 0");
    require(shape.causal || shape.window == 0, "a window in attention that is not causal");
    require(shape.first_query + shape.query_heads <= shape.kv_heads * shape.queries_per_kv ||
                shape.query_heads == 0,
            "a query head has no kv head");
}

void single_tokens(Segments const& segments) {
    require(segments.longest <= 1, "a segment of decode has more than one token");
}

void segments_inside(Segments const& segments, std::size_t rows, std::size_t cache_rows) {
    for (auto const& segment : std::span(segments.list.data, segments.list.size)) {
        require(segment.tokens <= segments.longest &&
                    segment.first_position + segment.tokens <= segments.context,
                "a segment exceeds the bounds of its list");
        require(segment.row + segment.tokens <= rows, "segment lies outside the activation");
        require(segment.cache_row + segment.first_position + segment.tokens <= cache_rows,
                "segment lies outside the KV cache");
    }
}

void cut_patches(ConstTensorView const& pixels, PatchShape const& shape, TensorView const& y) {
    is_f32(pixels);
    is_activation(y);
    require(shape.channels > 0 && shape.patch > 0 && shape.height % shape.patch == 0 &&
                shape.width % shape.patch == 0,
            "pictures are no multiple of their patches");
    require(pixels.rows % shape.channels == 0 && pixels.cols == shape.height * shape.width,
            "pictures have another size");
    std::size_t const area = shape.patch * shape.patch;
    require(y.cols == shape.channels * area &&
                y.rows == pixels.rows / shape.channels * (pixels.cols / area),
            "patches do not fit their pictures");
}

void add_positions(ConstTensorView const& patches, ConstTensorView const& class_token,
                   ConstTensorView const& positions, TensorView const& y) {
    is_f32(patches);
    is_f32(y);
    is_vector(class_token, y.cols);
    has_no_scales(class_token);
    has_no_scales(positions);
    require(patches.cols == y.cols && positions.cols == y.cols,
            "patches or positions have another width than y");
    require(positions.rows > 0 && y.rows % positions.rows == 0 &&
                patches.rows == y.rows / positions.rows * (positions.rows - 1),
            "patches and their class tokens do not fill the positions");
}

void pixel_shuffle(ConstTensorView const& x, ShuffleShape const& shape, TensorView const& y) {
    is_f32(x);
    is_activation(y);
    require(shape.factor > 0 && shape.height % shape.factor == 0 &&
                shape.width % shape.factor == 0 && shape.height > 0 && shape.width > 0,
            "a grid is no multiple of its squares");
    std::size_t const square = shape.factor * shape.factor;
    require(x.rows % (shape.height * shape.width) == 0, "tokens do not fill their grids");
    require(y.rows == x.rows / square && y.cols == x.cols * square,
            "shuffled tokens do not fit the grid");
}

void gather_rows(ConstTensorView const& x, std::span<std::size_t const> rows, TensorView const& y) {
    is_f32(x);
    is_f32(y);
    require(y.rows == rows.size() && y.cols == x.cols, "gather_rows of shapes that do not fit");
    require(std::all_of(rows.begin(), rows.end(), [&](std::size_t row) { return row < x.rows; }),
            "a row to gather lies outside the tensor");
}

void round(ConstTensorView const& x, TensorView const& y) {
    is_f32(x);
    same_shape(x, y);
    require(y.dtype == DType::bf16, "round writes bf16");
}

void sample(ConstTensorView const& logits, std::span<SamplingParams const> params,
            std::span<TokenLogprob> chosen) {
    is_f32(logits);
    require(params.size() == logits.rows && chosen.size() == logits.rows,
            "sample needs one set of parameters and one result for each row");
    require(logits.cols > 0 || logits.rows == 0, "sample from an empty vocabulary");
    require(std::all_of(params.begin(), params.end(),
                        [](SamplingParams const& p) { return p.repetition_penalty > 0.0F; }),
            "repetition_penalty is not positive");
}

void log_probabilities(ConstTensorView const& logits, std::span<std::int32_t const> tokens,
                       std::span<float> logprobs) {
    is_f32(logits);
    require(tokens.size() == logits.rows && logprobs.size() == logits.rows,
            "log_probabilities needs one token and one result for each row");
    require(std::all_of(tokens.begin(), tokens.end(),
                        [&](std::int32_t token) {
                            return token >= 0 && static_cast<std::size_t>(token) < logits.cols;
                        }),
            "a token lies outside the vocabulary");
}

void top_log_probabilities(ConstTensorView const& logits, std::span<TokenLogprob> top) {
    is_f32(logits);
    require(logits.rows == 1 && top.size() <= logits.cols,
            "top_log_probabilities needs one row of at least as many logits");
}

void top_logits(ConstTensorView const& logits, std::size_t count, std::span<TokenLogit> top,
                std::span<float> log_sums) {
    is_f32(logits);
    require(count <= logits.cols, "top_logits needs rows of at least as many logits");
    require(top.size() == logits.rows * count && log_sums.size() == logits.rows,
            "top_logits needs room for the results of each row");
}

}  // namespace tesserank::kernels::contracts
