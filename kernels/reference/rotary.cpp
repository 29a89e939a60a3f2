#include "kernels/contracts.hpp"
#include "kernels/reference/reference_backend.hpp"
#include "kernels/rows.hpp"

#include <vector>

namespace tesserank::kernels::reference {

void ReferenceBackend::rotary(TensorView x, std::size_t head_dim, ConstTensorView cos_sin) {
    contracts::rotary(x, head_dim, cos_sin);
    std::size_t const half = head_dim / 2;
    std::vector<float> row(x.cols);
    for (std::size_t t = 0; t < x.rows; ++t) {
        load_row(x, t, row);
        float const* const cosines = cos_sin.row<float>(t);
        float const* const sines = cosines + half;
        for (std::size_t first = 0; first < x.cols; first += head_dim) {
            float* const head = row.data() + first;
            for (std::size_t i = 0; i < half; ++i) {
                float const a = head[i];
                float const b = head[i + half];
                head[i] = a * cosines[i] - b * sines[i];
                head[i + half] = b * cosines[i] + a * sines[i];
            }
        }
        store_row(row, x, t);
    }
}

}  // namespace tesserank::kernels::reference
