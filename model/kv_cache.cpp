#include "model/kv_cache.hpp"

#include <utility>

namespace tesserank::model {

KvCache::KvCache(kernels::Backend& backend, kernels::DType dtype, std::vector<CacheLayer> layers)
    : backend_{backend},
      dtype_{dtype},
      layers_{std::move(layers)},
      keys_(layers_.size()),
      values_(layers_.size()) {}

void KvCache::reserve(std::size_t all, std::size_t own) {
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        std::size_t const tokens = layers_[i].dealt ? own : all;
        if (tokens <= keys_[i].view.rows) continue;
        // The old memory goes first, so that growing never needs both at once.
        keys_[i] = {};
        values_[i] = {};
        keys_[i] = make_tensor(backend_, dtype_, tokens, layers_[i].width);
        values_[i] = make_tensor(backend_, dtype_, tokens, layers_[i].width);
    }
}

void KvCache::release() {
    for (auto* const half : {&keys_, &values_}) {
        for (auto& tensor : *half) tensor = {};
    }
}

std::size_t cache_bytes(std::span<CacheLayer const> layers, kernels::DType dtype, std::size_t all,
                        std::size_t own) {
    std::size_t elements = 0;
    for (auto const& layer : layers) elements += 2 * layer.width * (layer.dealt ? own : all);
    return elements * kernels::size_of(dtype);
}

}  // namespace tesserank::model
