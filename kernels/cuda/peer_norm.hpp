#pragma once

#include "kernels/backend.hpp"
#include "kernels/peer_norms.hpp"

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace tesserank::kernels::cuda {

/// Words in the host's memory through which host and kernels talk.
struct PeerWords {
    std::uint32_t stop = 0;     ///< not 0: who waits is to give up
    std::uint32_t missing = 0;  ///< for whom a kernel has waited for long: the rank + 1
};

/// The memory of a rank that all ranks reach. A row is a block's alone: block t of one rank's
/// kernel meets block t of the others', and those only.
///
/// What a rank shows lies in one of two slots in turn. A block that begins its call n + 2, and
/// writes over what it showed in call n, has met the others in call n + 1, which they began when
/// they had read all of call n.
struct PeerMemory {
    static constexpr std::size_t rows = 64, cols = 16384;

    float slots[2][rows][cols];
    /// The newest call in which another rank has shown this one its row.
    std::uint32_t shown[rows][PeerPlace::most_ranks];
    std::uint32_t calls[rows];  ///< of this rank: for itself alone
    /// The same: not 0 where a wait was ended. What the row has shown stays, for who comes late.
    std::uint32_t ended[rows];
};

struct PeerNormArguments {
    PeerMemory* memory[PeerPlace::most_ranks];  ///< of all ranks
    PeerWords* words;
    unsigned rank, ranks;
    TensorView residual;
    ConstTensorView partial, weight;
    float eps;
};

/// See PeerNorms.
void peer_norm(PeerNormArguments const& arguments, TensorView const& y, cudaStream_t stream);

}  // namespace tesserank::kernels::cuda
