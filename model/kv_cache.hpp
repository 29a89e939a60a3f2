#pragma once

#include "kernels/backend.hpp"

#include <cstddef>
#include <vector>

namespace tesserank::model {

/// Keys and values of a static batch, on this rank: for each layer two matrices [tokens, k*D], the
/// sequences one behind the other without padding. The width is the layer's own, since a rank may
/// hold another number of kv heads in each layer.
class KvCache {
  public:
    KvCache(kernels::Backend& backend, kernels::DType dtype, std::vector<std::size_t> widths);

    /// Makes room for a batch of `tokens` tokens in all; what was stored is lost when it has to
    /// grow.
    void reserve(std::size_t tokens);

    kernels::TensorView keys(std::size_t layer) const { return keys_[layer].view; }
    kernels::TensorView values(std::size_t layer) const { return values_[layer].view; }

    /// Bytes of one token over all layers.
    std::size_t bytes_per_token() const;

  private:
    kernels::Backend& backend_;
    kernels::DType dtype_;
    std::vector<std::size_t> widths_;
    std::vector<kernels::Tensor> keys_, values_;
    std::size_t tokens_ = 0;
};

}  // namespace tesserank::model
