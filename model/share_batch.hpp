#pragma once

#include "model/static_batch.hpp"
#include "model/transformer.hpp"
#include "parallel/mpi_communicator.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tesserank::model {

/// How sequences travel: first how much there is, then one flat message with, for each sequence,
/// its numbers, its prompt, and where features stand in it.
struct SharedBatch {
    using Sizes = std::array<std::int64_t, 2>;  ///< sequences, elements of the message
    static constexpr std::size_t numbers = 6;   ///< of a sequence besides its prompt's ids

    /// Bytes of the second message for so many sequences with so many prompt tokens and runs of
    /// placeholders in all.
    static constexpr std::size_t content_bytes(std::size_t sequences, std::size_t tokens,
                                               std::size_t places) {
        return (numbers * sequences + tokens + 2 * places) * sizeof(std::int32_t);
    }
};

/// Gives rank 0's sequences to every rank. Collective.
std::vector<Sequence> share_sequences(parallel::MpiCommunicator& ranks,
                                      std::vector<Sequence> sequences);

/// A batch of rank 0's sequences on every rank, dealt out as the model's plan wants it, with room
/// for its keys and values; the features of its pictures, whose tiles rank 0 has, are computed.
/// Collective.
StaticBatch start_batch(Transformer& model, parallel::MpiCommunicator& ranks,
                        std::vector<Sequence> sequences, std::span<Tile const> tiles = {});

}  // namespace tesserank::model
