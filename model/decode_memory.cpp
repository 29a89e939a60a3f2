#include "model/decode_memory.hpp"

#include "model/candidates.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

namespace tesserank::model {

using kernels::Segment;

std::size_t decode_bucket(std::size_t sequences) {
    std::size_t const power = std::bit_ceil(sequences);
    std::size_t const middle = power / 4 * 3;
    return power > 8 && sequences <= middle ? middle : power;
}

std::size_t DecodeSize::bytes() const {
    return std::accumulate(of.begin(), of.end(), std::size_t{0});
}

DecodeSize decode_size(DecoderConfig const& config, PlacementPlan const& plan,
                       TransformerOptions const& options, std::size_t batch, int rank) {
    DecodeSize size;
    if (!options.resident || batch == 0) return size;
    std::size_t const rows = decode_bucket(batch);
    bool const chooses = rank == choosing_rank;
    bool const by_length = config.rope.kind == RopeConfig::Kind::dynamic_ntk;
    std::size_t const head = config.head_dim * sizeof(float);
    using Piece = DecodePiece;
    size[Piece::results] = rows * (sizeof(kernels::DecodeRow) + sizeof(kernels::DecodeOutput) +
                                   (chooses ? most_candidates * sizeof(kernels::TokenLogprob) : 0));
    size[Piece::ids] = rows * sizeof(std::int32_t);
    size[Piece::segments] = rows * sizeof(Segment);
    size[Piece::own] = plan.owners() > 1 ? rows * sizeof(Segment) : 0;
    size[Piece::stop_ids] = rows * most_stop_ids * sizeof(std::int32_t);
    size[Piece::seen] =
        chooses ? rows * ((config.vocabulary + 31) / 32) * sizeof(std::uint32_t) : 0;
    size[Piece::frequencies] = (by_length ? rows : 1) * head / 2;
    size[Piece::cos_sin] = rows * head;
    auto const placement = plan.of("lm_head");
    bool const exchanged = plan.ranks > 1 && placement != Placement::replicate &&
                           placement != Placement::single(choosing_rank);
    if (exchanged) {
        bool const cut = placement == Placement::shard;
        std::size_t const parts = chooses && cut ? static_cast<std::size_t>(plan.ranks) : 1;
        std::size_t const lists = parts * std::min(rows, options.max_logit_rows);
        size[Piece::candidates] = lists * (most_candidates + 1) * sizeof(kernels::TokenLogit);
    }
    return size;
}

void DecodeMemory::reserve(DecodeSize const& size) {
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
        if (size.of[i] <= size_.of[i]) continue;
        if (static_cast<DecodePiece>(i) == DecodePiece::results) make_landings(size.of[i]);
        pieces_[i] = {};
        size_.of[i] = 0;  // should there be no memory
        pieces_[i] = backend_.allocate(size.of[i]);
        size_.of[i] = size.of[i];
    }
}

void DecodeMemory::release() {
    for (auto& piece : pieces_) piece = {};
    size_ = {};
}

void DecodeMemory::make_landings(std::size_t bytes) {
    auto* const device = backend_.resident_decode();
    if (device == nullptr) return;
    for (auto& landing : landings_) landing = device->make_landing(bytes);
}

}  // namespace tesserank::model
