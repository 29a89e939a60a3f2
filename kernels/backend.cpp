#include "kernels/backend.hpp"

#include "kernels/contracts.hpp"
#include "kernels/peer_norms.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace tesserank::kernels {

QuantisedRows quantised_in(TensorView const& rows) {
    require(rows.dtype == DType::bf16 && rows.contiguous() && rows.cols % 16 == 0,
            "only whole packs of bf16 have room for their fp8 and its scales");
    return {{{rows.data, DType::f8e4m3, rows.rows, rows.cols, rows.cols}},
            {{rows.data + rows.size(), DType::f32, 1, rows.rows, rows.rows}}};
}

// What one pass over memory replaces takes what all of it took.
// NOLINTNEXTLINE(readability-function-size)
void Backend::prepare_attention(TensorView qkv, AttentionShape const& shape, HeadNorms const& norms,
                                ConstTensorView cos_sin, Segments const& segments,
                                TensorView k_cache, TensorView v_cache) {
    contracts::prepare_attention(qkv, shape);
    std::size_t const dim = shape.head_dim, width = shape.kv_heads * dim;
    auto const query = qkv.cols_from(0, shape.query_heads * dim);
    auto const key = qkv.cols_from(query.cols, width);
    auto const value = qkv.cols_from(query.cols + width, width);
    if (norms.query.data != nullptr) head_rms_norm(query, dim, norms.query, norms.eps);
    if (norms.key.data != nullptr) head_rms_norm(key, dim, norms.key, norms.eps);
    rotary(query, dim, cos_sin);
    rotary(key, dim, cos_sin);
    store_kv(key, value, segments, k_cache, v_cache);
}

std::unique_ptr<PeerNorms> Backend::make_peer_norms(PeerPlace const& /*place*/) { return nullptr; }

Buffer Backend::allocate_staging(std::size_t bytes) {
    auto const release = [](void* /*context*/, std::byte* memory, std::size_t /*bytes*/) noexcept {
        ::operator delete(memory);
    };
    auto* const memory = bytes == 0 ? nullptr : static_cast<std::byte*>(::operator new(bytes));
    return Buffer{memory, BufferDeleter{release, nullptr, bytes}};
}

void Backend::copy_from_staging(ConstTensorView source, TensorView destination) {
    contracts::copy(source, destination);
    if (source.cols == 0) return;
    bool const in_one = source.contiguous() && destination.contiguous();
    std::size_t const rows = in_one ? std::min<std::size_t>(source.rows, 1) : source.rows;
    std::size_t const width = size_of(source.dtype);
    std::size_t const bytes = (in_one ? source.size() : source.cols) * width;
    for (std::size_t row = 0; row < rows; ++row) {
        copy_from_host({source.data + row * source.stride * width, bytes},
                       destination.data + row * destination.stride * width);
    }
}

Tensor make_tensor(Backend& backend, DType dtype, std::size_t rows, std::size_t cols) {
    Buffer buffer = backend.allocate(rows * cols * size_of(dtype));
    TensorView const view{{buffer.get(), dtype, rows, cols, cols}};
    return {std::move(buffer), view};
}

}  // namespace tesserank::kernels
