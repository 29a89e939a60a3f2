#include "kernels/contracts.hpp"
#include "kernels/kokkos/kokkos_backend.hpp"
#include "kernels/kokkos/parallel_for.hpp"

namespace tesserank::kernels::kokkos {
namespace {

/// The two halves of a head; they do not overlap, which lets the loop become vectors.
void rotate(float* __restrict a, float* __restrict b, float const* cos_sin, std::size_t half) {
    for (std::size_t i = 0; i < half; ++i) {
        float const first = a[i];
        float const second = b[i];
        a[i] = first * cos_sin[i] - second * cos_sin[i + half];
        b[i] = second * cos_sin[i] + first * cos_sin[i + half];
    }
}

}  // namespace

void KokkosBackend::rotary(TensorView x, std::size_t head_dim, ConstTensorView cos_sin) {
    contracts::rotary(x, head_dim, cos_sin);
    std::size_t const half = head_dim / 2;
    parallel_for("rotary", x.rows, [=](std::size_t t) {
        for (std::size_t first = 0; first < x.cols; first += head_dim) {
            float* const head = x.row<float>(t) + first;
            rotate(head, head + half, cos_sin.row<float>(t), half);
        }
    });
}

}  // namespace tesserank::kernels::kokkos
