#pragma once

#include "kernels/backend.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace tesserank::kernels {

/// A sequence in decode, as the device keeps it from step to step. Plain data: the host writes it
/// once, when the sequence joins.
struct DecodeRow {
    // How its tokens are chosen; see SamplingParams. The draw of a step is uniform_draw(seed,
    // stream, sample, chosen).
    std::uint64_t seed = 0, stream = 0;
    float temperature = 0.0F, top_p = 1.0F, min_p = 0.0F, repetition_penalty = 1.0F;
    std::uint32_t top_k = 0;
    std::uint32_t sample = 0;
    // When it ends.
    std::uint32_t first_stop = 0, stops = 0;  ///< its run of DecodeTable::stop_ids
    std::uint32_t most_chosen = 0;            ///< it ends with the token that makes it so many
    // How far it has come.
    std::uint32_t chosen = 0;  ///< tokens so far, the one in DecodeTable::ids included
    std::uint32_t ended = 0;   ///< 1: takes no part in steps any more
    std::uint32_t turn = 0;    ///< its row of DecodeTable::frequencies
};

/// The running sequences of a batch: what a step reads, and what advance() makes of it for the next
/// one. All in the backend's memory; row b is the same sequence everywhere.
struct DecodeTable {
    DeviceSpan<DecodeRow> rows;    ///< [B]
    DeviceSpan<std::int32_t> ids;  ///< [B] newest tokens: the next step's input
    DeviceSpan<Segment> segments;  ///< [B] of one token; none when the sequence has ended
    DeviceSpan<Segment> own;       ///< of the rows that this rank owns, as it sees them
    std::size_t first_own = 0;     ///< the row of own[0]
    DeviceSpan<std::int32_t const> stop_ids;  ///< of all rows, and room for more
    /// [B, ceil(V/32)] one bit for each token of the prompt or chosen; empty when no row has a
    /// repetition penalty.
    DeviceSpan<std::uint32_t> seen;
    ConstTensorView frequencies;  ///< [1 or more, D/2] f32; see model/rope.hpp
    float rotary_scale = 1.0F;
    TensorView cos_sin;  ///< [B, D] f32 of the positions of `ids`

    /// Whether both are the same memory.
    bool operator==(DecodeTable const&) const = default;
};

/// From what the next tokens are chosen: rows of logits over the whole vocabulary, or the most
/// likely tokens of each of its parts.
struct ChoiceSource {
    ConstTensorView logits{};  ///< [B, V] f32, or no data
    /// [parts][B][per_part + 1], as ResidentDecode::top_logits leaves them: one message carries
    /// what a rank knows of a row.
    DeviceSpan<TokenLogit const> candidates{};
    std::size_t parts = 0, per_part = 0;
};

/// A chosen token on its way to the host. The same on all ranks but for the logprobs, which only
/// the choosing rank has.
struct DecodeOutput {
    std::int32_t token = 0;
    float logprob = 0.0F;
};

/// Work that was queued once and can be queued again with one call; it reads and writes the same
/// memory every time.
class Recording {
  public:
    virtual ~Recording() = default;
    virtual void replay() = 0;
};

/// Host memory that copies from the device reach while the host does something else.
class Landing {
  public:
    virtual ~Landing() = default;
    /// Queues the copy behind the operations so far; one is under way at a time.
    virtual void start(std::byte const* source, std::size_t bytes) = 0;
    /// Waits for it, not for operations queued after it; see Backend::set_watch. Valid until the
    /// next start().
    virtual std::span<std::byte const> wait() = 0;
};

/// Decoding without the host between two steps: tokens are chosen, sequences ended and the next
/// step prepared on the device, and the host reads along one step behind. Everything is queued like
/// a Backend's operations.
class ResidentDecode {
  public:
    virtual ~ResidentDecode() = default;

    /// Runs `work`, which queues operations and allocates nothing, without executing it, and keeps
    /// what it queued. Collectives of a communicator that is queued may be among it.
    virtual std::unique_ptr<Recording> record(std::function<void()> const& work) = 0;
    virtual std::unique_ptr<Landing> make_landing(std::size_t bytes) = 0;

    /// Backend::top_logits with the results in the backend's memory: for each row its `count` most
    /// likely tokens, filled up with token -1, then an entry whose logit is the log of the row's
    /// sum of e^logit; top [B * (count + 1)]. `first_id` is added to the tokens.
    virtual void top_logits(ConstTensorView logits, std::size_t count, std::int32_t first_id,
                            DeviceSpan<TokenLogit> top) = 0;

    /// Chooses a token for each row as Backend::sample does, and gives its logprob; with
    /// `top_count`, also that many most likely tokens with their logprobs, top [B * top_count].
    /// Rows that have ended, or have no candidate at all, give token -1, also where the most likely
    /// tokens are asked for. From candidates only greedy choice, or top_k of at most per_part, and
    /// no repetition penalty. Draws are those of the host bit for bit; the weights of tokens are
    /// f32, so that a draw, or top_p, within 1e-6 of the border between two tokens may fall on the
    /// other one.
    virtual void choose(ChoiceSource const& source, DecodeTable const& table,
                        DeviceSpan<DecodeOutput> chosen, std::size_t top_count,
                        DeviceSpan<TokenLogprob> top) = 0;

    /// Takes the chosen tokens into the table: counts them, marks them seen, ends sequences (a stop
    /// id, or the last token), and prepares ids, segments and cos_sin of the next step. A row that
    /// ends has the token in ids and no token in its segments; where it stood, its position and
    /// cos_sin, stays.
    virtual void advance(DeviceSpan<DecodeOutput const> chosen, DecodeTable const& table) = 0;
};

}  // namespace tesserank::kernels
