#pragma once

#include "kernels/backend.hpp"
#include "kernels/resident_decode.hpp"
#include "model/decoder_config.hpp"
#include "model/forward_memory.hpp"
#include "model/placement.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace tesserank::model {

/// Ids that may end one sequence of a batch that is decoded on the device; with more the host
/// decides.
inline constexpr std::size_t most_stop_ids = 64;

/// How many rows a step has for so many running sequences: few sizes, since each is recorded. 1, 2,
/// 4, 8, and from there on powers of two and the middles between them.
std::size_t decode_bucket(std::size_t sequences);

/// What resident decoding keeps in the backend's memory; see kernels::DecodeTable and ChoiceSource.
enum class DecodePiece : std::uint8_t {
    results,  ///< rows, chosen tokens and most likely tokens: what the host reads
    ids,
    segments,
    own,
    stop_ids,
    seen,
    frequencies,
    cos_sin,
    candidates,
    count
};

/// Bytes of each piece. They depend on the size of the batch alone, not on what its requests ask
/// for, so that a plan can state them. With R = decode_bucket(batch) rows, of which at most L =
/// max_logit_rows are chosen for at once, and N = 256 candidates at most:
///
///     results      R (sizeof(DecodeRow) + sizeof(DecodeOutput)),
///                  and R N logprobs on the choosing rank
///     ids          4 R
///     segments     32 R
///     own          32 R where sequences are dealt out
///     stop_ids     4 * 64 R
///     seen         4 R ceil(V/32) on the choosing rank
///     frequencies  2 D, or of every row
///     cos_sin      4 R D
///     candidates   8 L (N + 1) where logits are exchanged;
///                  of every part of the vocabulary on the choosing rank
struct DecodeSize {
    std::array<std::size_t, static_cast<std::size_t>(DecodePiece::count)> of{};

    std::size_t operator[](DecodePiece piece) const { return of[static_cast<std::size_t>(piece)]; }
    std::size_t& operator[](DecodePiece piece) { return of[static_cast<std::size_t>(piece)]; }
    std::size_t bytes() const;
};

/// Zero unless the options say that decoding is resident, or for an empty batch.
DecodeSize decode_size(DecoderConfig const& config, PlacementPlan const& plan,
                       TransformerOptions const& options, std::size_t batch, int rank);

/// The pieces; they are kept from batch to batch and grow when they must.
class DecodeMemory {
  public:
    explicit DecodeMemory(kernels::Backend& backend) : backend_{backend} {}

    void reserve(DecodeSize const& size);
    /// Gives the pieces back.
    void release();

    /// While one lands, the other one is read.
    static constexpr std::size_t landings = 2;
    /// Where the host gets what this step leaves in DecodePiece::results.
    kernels::Landing& landing(std::size_t step) const { return *landings_[step % landings]; }

    /// The first `elements` elements of a piece.
    template <class T>
    kernels::DeviceSpan<T> get(DecodePiece piece, std::size_t elements) const {
        kernels::require(elements * sizeof(T) <= size_[piece],
                         "resident decoding needs more memory than it has");
        return {reinterpret_cast<T*>(pieces_[static_cast<std::size_t>(piece)].get()), elements};
    }

  private:
    void make_landings(std::size_t bytes);

    kernels::Backend& backend_;
    DecodeSize size_;
    std::array<kernels::Buffer, static_cast<std::size_t>(DecodePiece::count)> pieces_;
    std::array<std::unique_ptr<kernels::Landing>, landings> landings_;
};

}  // namespace tesserank::model
