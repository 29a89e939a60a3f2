#pragma once

#include "kernels/backend.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace tesserank::model {

/// What a layer's attention keeps of each token on this rank.
struct CacheLayer {
    std::size_t width = 0;  ///< k*D elements of keys, and as many of values
    bool dealt = false;     ///< only of the sequences that this rank owns
};

/// Bytes that `all` tokens take over all layers, `own` of them in sequences that the rank owns.
std::size_t cache_bytes(std::span<CacheLayer const> layers, kernels::DType dtype, std::size_t all,
                        std::size_t own);

/// Keys and values of a static batch, on this rank: for each layer two matrices [tokens, k*D], the
/// sequences one behind the other without padding. The width is the layer's own, since a rank may
/// hold another number of kv heads in each layer.
class KvCache {
  public:
    KvCache(kernels::Backend& backend, kernels::DType dtype, std::vector<CacheLayer> layers);

    /// Makes room for a batch of `all` tokens, `own` of them in sequences that this rank owns; what
    /// was stored is lost when it has to grow.
    void reserve(std::size_t all, std::size_t own);
    /// Gives its memory back, and with it what was stored.
    void release();

    kernels::TensorView keys(std::size_t layer) const { return keys_[layer].view; }
    kernels::TensorView values(std::size_t layer) const { return values_[layer].view; }

    /// What reserve() allocates.
    std::size_t bytes(std::size_t all, std::size_t own) const {
        return cache_bytes(layers_, dtype_, all, own);
    }

  private:
    kernels::Backend& backend_;
    kernels::DType dtype_;
    std::vector<CacheLayer> layers_;
    std::vector<kernels::Tensor> keys_, values_;
};

}  // namespace tesserank::model
