#include "kernels/contracts.hpp"
#include "kernels/kokkos/kokkos_backend.hpp"
#include "kernels/kokkos/parallel_for.hpp"

namespace tesserank::kernels::kokkos {
namespace {

/// The two halves of a head; they do not overlap, which lets the loop become vectors.
template <class Element>
void rotate(Element* __restrict a, Element* __restrict b, float const* cos_sin, std::size_t half) {
    for (std::size_t i = 0; i < half; ++i) {
        float const first = to_float(a[i]);
        float const second = to_float(b[i]);
        a[i] = from_float<Element>(first * cos_sin[i] - second * cos_sin[i + half]);
        b[i] = from_float<Element>(second * cos_sin[i] + first * cos_sin[i + half]);
    }
}

}  // namespace

void KokkosBackend::rotary(TensorView x, std::size_t head_dim, ConstTensorView cos_sin) {
    contracts::rotary(x, head_dim, cos_sin);
    std::size_t const half = head_dim / 2;
    visit_dtype(x.dtype, [&]<class Element>(Element) {
        parallel_for("rotary", x.rows, [=](std::size_t t) {
            for (std::size_t first = 0; first < x.cols; first += head_dim) {
                Element* const head = x.row<Element>(t) + first;
                rotate(head, head + half, cos_sin.row<float>(t), half);
            }
        });
    });
}

}  // namespace tesserank::kernels::kokkos
