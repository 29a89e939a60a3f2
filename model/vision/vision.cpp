#include "model/vision/vision.hpp"

#include "kernels/error.hpp"
#include "parallel/agree.hpp"

namespace tesserank::model {

Vision::Vision(VisionSetup const& setup)
    : setup_{setup}, encoder_{std::make_unique<VisionEncoder>(setup_)} {
    if (kept()) return;
    released_bytes_ = encoder_->weight_bytes() + encoder_->load_bytes() + encoder_->forward_bytes();
}

void Vision::load() {
    if (kept()) {
        encoder_->load();
    } else {
        release();
    }
}

void Vision::release() {
    // What was queued still reads the weights.
    setup_.backend.synchronize();
    encoder_.reset();
}

void Vision::encode(parallel::MpiCommunicator& ranks, std::span<Tile const> tiles,
                    std::size_t count) {
    std::size_t const per_tile = setup_.config.vision->features_per_tile();
    parallel::agree(ranks, [&] {
        kernels::require(ranks.rank() != choosing_rank || tiles.size() * per_tile == count,
                         "the placeholders of a batch are not as many as its pictures' features");
        if (count > features_.view.rows) {
            count_ = 0;
            features_.buffer.reset();  // first, so that growing never needs both at once
            features_ =
                make_tensor(setup_.backend, kernels::DType::f32, count, setup_.config.hidden);
        }
        if (!encoder_) encoder_ = std::make_unique<VisionEncoder>(setup_);
    });
    if (!kept()) encoder_->load();
    count_ = count;
    encoder_->encode(tiles, count / per_tile, features_.view.rows_from(0, count));
    if (!kept()) release();
}

}  // namespace tesserank::model
