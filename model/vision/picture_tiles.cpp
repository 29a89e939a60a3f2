#include "model/vision/picture_tiles.hpp"

#include "model/transformer.hpp"

namespace tesserank::model {

std::vector<Tile> tiles_of(std::span<RequestPictures const> requests) {
    std::vector<Tile> tiles;
    for (auto const& [id, pictures] : requests) {
        for (auto const& picture : pictures) {
            std::size_t const bytes = picture.tiles == 0 ? 0 : picture.rgb.size() / picture.tiles;
            for (std::size_t tile = 0; tile < picture.tiles; ++tile) {
                tiles.push_back(Tile(picture.rgb).subspan(tile * bytes, bytes));
            }
        }
    }
    return tiles;
}

void append_features(FeatureSink& sink, Transformer& model,
                     std::span<RequestPictures const> requests) {
    std::size_t row = 0;
    for (auto const& [id, pictures] : requests) {
        for (std::size_t picture = 0; picture < pictures.size(); ++picture) {
            std::size_t const count =
                pictures[picture].tiles * model.config().vision->features_per_tile();
            auto const features = model.features().rows_from(row, count);
            std::vector<float> host(features.size());
            model.backend().copy_to_host(features.data, std::as_writable_bytes(std::span(host)));
            sink.append(id, picture, host);
            row += count;
        }
    }
}

}  // namespace tesserank::model
