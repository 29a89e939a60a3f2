#pragma once

#include "kernels/buffer.hpp"
#include "kernels/device_span.hpp"
#include "kernels/dtype.hpp"
#include "kernels/shapes.hpp"
#include "kernels/tensor.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

namespace tesserank::kernels {

/// Consecutive new tokens of one sequence: a part of its prompt, or one token in decode.
struct Segment {
    std::size_t row = 0;     ///< row of the first new token in the activation
    std::size_t tokens = 0;  ///< new tokens
    /// Position of the first new token; as many tokens stand in the cache already.
    std::size_t first_position = 0;
    std::size_t cache_row = 0;  ///< row of the sequence's position 0 in the KV cache
};

/// The pieces of one step, in the backend's memory, and what the host has to know of them to launch
/// work: bounds, which a recording keeps for all its replays.
struct Segments {
    DeviceSpan<Segment const> list;
    std::size_t longest = 0;  ///< no segment has more tokens
    std::size_t context = 0;  ///< no segment's first_position + tokens is larger
};

/// How the heads of q and k are normalised before they are rotated: rms_norm by head.
struct HeadNorms {
    ConstTensorView query, key;  ///< [1, D] each, any dtype; no data: not at all
    float eps = 0.0F;
};

/// The heads that a rank computes. Local query head h reads local kv head (first_query + h) /
/// queries_per_kv.
struct AttentionShape {
    std::size_t query_heads = 0;  ///< on this rank
    std::size_t kv_heads = 0;     ///< on this rank
    std::size_t head_dim = 0;
    std::size_t queries_per_kv = 1;  ///< of the whole model (GQA group size)
    /// Index of the first local query head within the first local kv head's group.
    std::size_t first_query = 0;
    float scale = 1.0F;      ///< multiplies q . k, usually 1 / sqrt(head_dim)
    std::size_t window = 0;  ///< position i sees i-window+1 .. i; 0: all of 0 .. i
    /// false: every token of a segment sees all of the segment's positions; window is 0 then.
    bool causal = true;
};

/// Pictures of one size, and the square patches that they are cut into.
struct PatchShape {
    std::size_t channels = 3;
    std::size_t height = 0, width = 0;  ///< pixels; multiples of patch
    std::size_t patch = 1;
};

/// A grid of tokens whose squares of `factor` x `factor` become one token each.
struct ShuffleShape {
    std::size_t height = 0, width = 0;  ///< tokens; multiples of factor
    std::size_t factor = 1;
    /// The new tokens go down the columns of the grid, not along its rows: version 1 of InternVL.
    bool by_columns = false;
};

/// Rows of an activation in fp8, each with its scale: see Backend::quantise_rows.
struct QuantisedRows {
    TensorView values;  ///< [T, K] f8e4m3
    TensorView scales;  ///< [1, T] f32
};

/// As many quantised rows as `rows` has, in its memory. rows [T, K] bf16 without gaps, K a multiple
/// of 16, as products in fp8 want it.
QuantisedRows quantised_in(TensorView const& rows);

enum class Activation : std::uint8_t { silu, gelu, gelu_tanh };

/// How one token is chosen from one row of logits.
struct SamplingParams {
    float temperature = 0.0F;         ///< 0: greedy
    std::size_t top_k = 0;            ///< 0: off
    float top_p = 1.0F;               ///< 1: off
    float min_p = 0.0F;               ///< 0: off
    float repetition_penalty = 1.0F;  ///< 1: off; > 0
    double uniform = 0.0;             ///< the draw, in [0, 1)
    /// Prompt and generated tokens, for the penalty; host memory. Ids outside the vocabulary are
    /// passed over, repeated ones count once.
    std::span<std::int32_t const> seen{};
};

struct TokenLogprob {
    std::int32_t token = 0;
    /// Natural log; softmax over the whole vocabulary, before penalty and temperature.
    float logprob = 0.0F;
};

struct TokenLogit {
    std::int32_t token = 0;
    float logit = 0.0F;
};

class PeerNorms;
struct PeerPlace;
class ResidentDecode;

/// The operations that a model is made of, on one device. Three implementations: `reference/` is
/// plain loops and the truth that the others are tested against; `kokkos/` is portable; `cuda/` is
/// for NVIDIA GPUs.
///
/// Tensors and DeviceSpans are views of memory that allocate() gave (host memory for host
/// backends); spans are host memory, read or written before the call returns. Operations are queued
/// in order; the device memory that they read must stay alive until synchronize(). Weights are f32,
/// bf16 or f16; activations f32, and where "f32|bf16" is written, bf16 too. All sums are
/// accumulated in f32. Shapes that do not fit are LogicErrors. Any dimension may be 0 (a rank that
/// holds nothing of a module): the operation then does nothing, or, where a sum over no terms is
/// asked for, gives zeros.
class Backend {
  public:
    virtual ~Backend() = default;
    virtual std::string_view name() const = 0;

    /// Zero-filled. Errors: SystemError with the bytes wanted when there is no memory.
    virtual Buffer allocate(std::size_t bytes) = 0;
    /// Bytes that allocate() can still give this process, before any share for other ranks on the
    /// device is taken off.
    virtual std::size_t memory_available() const = 0;
    virtual void copy_from_host(std::span<std::byte const> source, std::byte* destination) = 0;
    /// Host memory from which the device reads fastest; not cleared.
    virtual Buffer allocate_staging(std::size_t bytes);
    /// Copies from such memory, which must stay as it is until synchronize(); both may be strided
    /// views, of the same shape and dtype.
    virtual void copy_from_staging(ConstTensorView source, TensorView destination);
    virtual void copy_to_host(std::byte const* source, std::span<std::byte> destination) = 0;
    virtual void synchronize() = 0;
    /// `watch` is called again and again while the host waits for the device, with the seconds that
    /// the wait has taken. What it throws ends the wait: work that never ends would otherwise hold
    /// the host for good. Where the host computes there is no such wait.
    virtual void set_watch(std::function<void(double)> const& /*watch*/) {}
    /// destination = source; both may be strided views, of the same shape and dtype, of this
    /// backend's memory.
    virtual void copy(ConstTensorView source, TensorView destination) = 0;

    /// y[t] = table[ids[t] - first_id], zeros when that row is not in the table (vocabulary cut
    /// over ranks). ids [T]; table [v, H] any dtype; y [T, H] f32.
    virtual void embed(DeviceSpan<std::int32_t const> ids, ConstTensorView table,
                       std::int32_t first_id, TensorView y) = 0;

    /// y = x W^T + bias.  x [T, K] f32|bf16, w [N, K] any dtype, bias [1, N] any dtype or no data,
    /// y [T, N] f32|bf16. w and bias may be read before earlier operations have run: what writes
    /// them is followed by synchronize().
    virtual void gemm(ConstTensorView x, ConstTensorView w, ConstTensorView bias, TensorView y) = 0;

    /// w8 = w / scales by row, rounded to fp8, where a row's scale makes its largest element 448,
    /// the largest of fp8. A row with an infinity or a NaN gets the scale NaN.  w [N, K]
    /// f32|bf16|f16, w8 [N, K] f8e4m3, scales [1, N] f32.
    virtual void quantise_rows(ConstTensorView w, TensorView w8, TensorView scales) = 0;
    /// gemm with the weights of quantise_rows: y = (x w8^T) * scales + bias. With more than 16 rows
    /// of bf16 x a backend may quantise them too. w8, scales and bias may be read early, as gemm's
    /// w: between quantise_rows and this stands synchronize().
    virtual void gemm_scaled(ConstTensorView x, ConstTensorView w8, ConstTensorView scales,
                             ConstTensorView bias, TensorView y) = 0;
    /// Whether gemm_scaled would quantise as many rows of bf16 as x has: whoever makes them can
    /// then do that himself and give them to gemm_quantised. Nothing of x or y is read.
    virtual bool quantises(QuantisedRows const& /*x*/, ConstTensorView /*w8*/,
                           ConstTensorView /*scales*/, ConstTensorView /*bias*/, TensorView /*y*/) {
        return false;
    }
    /// gemm_scaled of rows that are quantised already: y = (x w8^T) * x's scales * scales + bias.
    /// On a GPU only of what quantises() says yes to.
    virtual void gemm_quantised(QuantisedRows const& x, ConstTensorView w8, ConstTensorView scales,
                                ConstTensorView bias, TensorView y) = 0;

    /// y = x / sqrt(mean(x^2) + eps) * weight, by row.  x [T, H] f32, weight [1, H] any dtype, y
    /// [T, H] f32|bf16. y may be x. Source: Zhang and Sennrich 2019,
    /// https://arxiv.org/abs/1910.07467
    virtual void rms_norm(ConstTensorView x, ConstTensorView weight, float eps, TensorView y) = 0;
    /// residual += delta, then y = rms_norm(residual): one pass over memory.  residual, delta [T,
    /// H] f32.
    virtual void add_rms_norm(TensorView residual, ConstTensorView delta, ConstTensorView weight,
                              float eps, TensorView y) = 0;
    /// The norms with a result that is rounded to bf16 and then quantised, as quantise_rows would
    /// quantise those rows, but without a pass over them.  y [T, H]
    virtual void rms_norm_quantised(ConstTensorView x, ConstTensorView weight, float eps,
                                    QuantisedRows y) = 0;
    virtual void add_rms_norm_quantised(TensorView residual, ConstTensorView delta,
                                        ConstTensorView weight, float eps, QuantisedRows y) = 0;
    virtual void layer_norm_quantised(ConstTensorView x, ConstTensorView weight,
                                      ConstTensorView bias, float eps, QuantisedRows y) = 0;
    /// rms_norm of each head of x [T, heads*D] f32|bf16 in place; weight [1, D].
    virtual void head_rms_norm(TensorView x, std::size_t head_dim, ConstTensorView weight,
                               float eps) = 0;
    /// y[t] = sum of x[t]^2: a rank's part of what an rms_norm of cut rows needs.  x [T, N]
    /// f32|bf16, y [T, 1] f32.
    virtual void square_sums(ConstTensorView x, TensorView y) = 0;
    /// The rest of it, in place: x = x / sqrt(sums[t] / width + eps) * weight, where x is a part of
    /// rows of `width` columns.  x [T, N] f32|bf16, sums [T, 1] f32, weight [1, N] any dtype.
    virtual void scale_by_square_sums(TensorView x, ConstTensorView sums, std::size_t width,
                                      ConstTensorView weight, float eps) = 0;
    /// y = (x - mean) / sqrt(variance + eps) * weight + bias, by row; bias may have no data.
    /// Shapes and dtypes as those of rms_norm, bias as weight; y may be x.
    virtual void layer_norm(ConstTensorView x, ConstTensorView weight, ConstTensorView bias,
                            float eps, TensorView y) = 0;

    /// x += y.  [T, H] f32.
    virtual void add(TensorView x, ConstTensorView y) = 0;
    /// x += y * scale, by column.  x, y [T, H] f32, scale [1, H] any dtype.
    /// Source: LayerScale of Touvron et al. 2021, https://arxiv.org/abs/2103.17239
    virtual void add_scaled(TensorView x, ConstTensorView y, ConstTensorView scale) = 0;

    /// Rotates the pairs (i, i + D/2) of each head of x [T, heads*D] f32|bf16 in place.
    /// cos_sin [T, D] f32: the D/2 cosines, then the D/2 sines, of each row.
    /// Source: Su et al. 2021, https://arxiv.org/abs/2104.09864, in the "rotate half" pairing of
    /// Hugging Face files.
    virtual void rotary(TensorView x, std::size_t head_dim, ConstTensorView cos_sin) = 0;

    /// y = act(x).  x, y [T, I] f32|bf16; y may be x. The exact GELU keeps its relative error where
    /// it goes to zero.
    virtual void activation(Activation kind, ConstTensorView x, TensorView y) = 0;
    /// y = act(gate) * up.  gate, up [T, I] f32|bf16, both alike; y [T, I] f32|bf16; y may be gate.
    virtual void gated_activation(Activation kind, ConstTensorView gate, ConstTensorView up,
                                  TensorView y) = 0;

    /// Writes the new tokens' keys and values to their rows of the cache.
    /// k, v [T, K*D] f32|bf16, both alike; k_cache, v_cache [cache tokens, K*D] f32|bf16.
    virtual void store_kv(ConstTensorView k, ConstTensorView v, Segments const& segments,
                          TensorView k_cache, TensorView v_cache) = 0;

    /// All that happens between the qkv GEMM and attention, in one pass over memory: normalises and
    /// rotates the heads of q and k in place, and stores k and v in the cache.  qkv [T, (Q+2K)*D]
    /// f32|bf16: the columns of q, of k, of v. By default made of head_rms_norm, rotary and
    /// store_kv.
    virtual void prepare_attention(TensorView qkv, AttentionShape const& shape,
                                   HeadNorms const& norms, ConstTensorView cos_sin,
                                   Segments const& segments, TensorView k_cache,
                                   TensorView v_cache);

    /// Attention of the new tokens to their sequence's cache, which holds the new tokens too
    /// (store_kv first), causal unless the shape says otherwise. Ragged: each segment is a piece of
    /// another sequence; rows of y that none of them covers stay as they are.  q [T, Q*D] f32|bf16,
    /// y [T, Q*D] f32|bf16.
    virtual void attention_prefill(ConstTensorView q, ConstTensorView k_cache,
                                   ConstTensorView v_cache, Segments const& segments,
                                   AttentionShape const& shape, TensorView y) = 0;
    /// The same for segments of one token each, or of none: a sequence that has ended. In which
    /// order a sequence's positions are added may depend on how many segments there are and on
    /// segments.context, and with it the last bits of y.
    virtual void attention_decode(ConstTensorView q, ConstTensorView k_cache,
                                  ConstTensorView v_cache, Segments const& segments,
                                  AttentionShape const& shape, TensorView y) = 0;

    /// Every patch of n pictures as a row, so that a product with [H, C*p*p] is their convolution.
    /// pixels [n*C, height*width] f32; y [n*patches, C*p*p] f32|bf16: patches along the rows of
    /// each picture, their columns by channel, then row, then column of the patch.
    virtual void cut_patches(ConstTensorView pixels, PatchShape const& shape, TensorView y) = 0;
    /// What a vision encoder starts with: for each picture the class token, then its patches, each
    /// plus its row of positions.  patches [n*(p-1), H] f32, class_token [1, H] any dtype,
    /// positions [p, H] any dtype, y [n*p, H] f32. Source: Dosovitskiy et al. 2020,
    /// https://arxiv.org/abs/2010.11929
    virtual void add_positions(ConstTensorView patches, ConstTensorView class_token,
                               ConstTensorView positions, TensorView y) = 0;
    /// Puts the squares of a grid of tokens side by side.  x [n*height*width, H] f32; y
    /// [n*height*width/factor^2, factor^2 * H] f32|bf16, the columns by row, then column within the
    /// square. Source: pixel_shuffle of InternVL, https://arxiv.org/abs/2404.16821
    virtual void pixel_shuffle(ConstTensorView x, ShuffleShape const& shape, TensorView y) = 0;

    /// y[i] = x[rows[i]].  x, y f32.
    virtual void gather_rows(ConstTensorView x, std::span<std::size_t const> rows,
                             TensorView y) = 0;

    /// Rounds f32 to bf16 (nearest even).  x [T, H] f32, y [T, H] bf16.
    virtual void round(ConstTensorView x, TensorView y) = 0;

    /// Chooses one token for each row of logits [B, V] f32. In this order: repetition penalty (a
    /// seen token's logit is divided by it when positive, else multiplied), temperature, top_k,
    /// top_p, min_p, then the candidate, in order of falling probability (on ties of rising id), in
    /// which the running sum passes `uniform`. Greedy takes the largest logit, on ties the lowest
    /// id.  Source of penalty: Keskar et al. 2019, https://arxiv.org/abs/1909.05858
    virtual void sample(ConstTensorView logits, std::span<SamplingParams const> params,
                        std::span<TokenLogprob> chosen) = 0;
    /// The log-probability of tokens[i] under row i of logits [T, V].
    virtual void log_probabilities(ConstTensorView logits, std::span<std::int32_t const> tokens,
                                   std::span<float> logprobs) = 0;
    /// The `count` most likely tokens of one row [1, V], most likely first, on ties the lower id
    /// first.
    virtual void top_log_probabilities(ConstTensorView logits, std::span<TokenLogprob> top) = 0;
    /// The `count` largest logits of each row of [B, V], largest first, on ties the lower id first:
    /// top [B * count]; and the log of the row's sum of e^logit: log_sums [B], minus infinity
    /// without columns. count is at most V.
    virtual void top_logits(ConstTensorView logits, std::size_t count, std::span<TokenLogit> top,
                            std::span<float> log_sums) = 0;

    /// Decoding whose state stays on the device; null where the host computes, since there nothing
    /// is won by it.
    virtual ResidentDecode* resident_decode() { return nullptr; }

    /// This rank's end of sums over ranks whose devices reach each other's memory; to be connected.
    /// Dies before the backend. Null where the host computes.
    virtual std::unique_ptr<PeerNorms> make_peer_norms(PeerPlace const& place);
};

/// A contiguous zero-filled [rows, cols] tensor.
Tensor make_tensor(Backend& backend, DType dtype, std::size_t rows, std::size_t cols);

std::unique_ptr<Backend> make_reference_backend();
/// Starts Kokkos if it is not running; it runs until the process ends.
std::unique_ptr<Backend> make_kokkos_backend();

}  // namespace tesserank::kernels
