#pragma once

#include "model/request.hpp"
#include "model/vision/pixels.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace tesserank::model {

class Transformer;

/// Takes the features of pictures as they arise, on rank 0; io writes them to a file.
class FeatureSink {
  public:
    virtual ~FeatureSink() = default;
    /// Of one picture of a request, by its index among them: [tiles * features_per_tile, H], host
    /// memory.
    virtual void append(std::string const& request_id, std::size_t picture,
                        std::span<float const> features) = 0;
};

/// The pictures of a request, and whose they are.
struct RequestPictures {
    std::string const& request_id;
    std::span<Picture const> pictures;
};

/// All tiles of all pictures, in order.
std::vector<Tile> tiles_of(std::span<RequestPictures const> requests);

/// Hands the features that the model has of them to the sink.
void append_features(FeatureSink& sink, Transformer& model,
                     std::span<RequestPictures const> requests);

/// Those of requests of any kind.
template <class Request>
std::vector<RequestPictures> pictures_of(std::span<Request const> requests) {
    std::vector<RequestPictures> all;
    all.reserve(requests.size());
    for (auto const& request : requests) {
        all.push_back({request.id, request.pictures.pictures});
    }
    return all;
}

}  // namespace tesserank::model
