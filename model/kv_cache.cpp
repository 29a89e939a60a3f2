#include "model/kv_cache.hpp"

#include <numeric>
#include <utility>

namespace tesserank::model {

KvCache::KvCache(kernels::Backend& backend, kernels::DType dtype, std::vector<std::size_t> widths)
    : backend_{backend},
      dtype_{dtype},
      widths_{std::move(widths)},
      keys_(widths_.size()),
      values_(widths_.size()) {}

void KvCache::reserve(std::size_t tokens) {
    if (tokens <= tokens_) return;
    for (std::size_t layer = 0; layer < widths_.size(); ++layer) {
        // The old memory goes first, so that growing never needs both at once.
        keys_[layer] = {};
        values_[layer] = {};
        keys_[layer] = make_tensor(backend_, dtype_, tokens, widths_[layer]);
        values_[layer] = make_tensor(backend_, dtype_, tokens, widths_[layer]);
    }
    tokens_ = tokens;
}

std::size_t KvCache::bytes_per_token() const {
    return 2 * std::accumulate(widths_.begin(), widths_.end(), std::size_t{0}) *
           kernels::size_of(dtype_);
}

}  // namespace tesserank::model
