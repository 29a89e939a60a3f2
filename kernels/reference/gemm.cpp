#include "kernels/contracts.hpp"
#include "kernels/reference/reference_backend.hpp"
#include "kernels/rows.hpp"

#include <vector>

namespace tesserank::kernels::reference {

void ReferenceBackend::gemm(ConstTensorView x, ConstTensorView w, ConstTensorView bias,
                            TensorView y) {
    contracts::gemm(x, w, bias, y);
    std::vector<float> offsets(w.rows);
    if (bias.data != nullptr) load_row(bias, 0, offsets);
    std::vector<float> input(x.cols);
    std::vector<float> weights(w.cols);
    for (std::size_t n = 0; n < w.rows; ++n) {
        load_row(w, n, weights);
        for (std::size_t t = 0; t < x.rows; ++t) {
            load_row(x, t, input);
            double sum = 0.0;
            for (std::size_t k = 0; k < x.cols; ++k) {
                sum += static_cast<double>(input[k]) * static_cast<double>(weights[k]);
            }
            auto const value = static_cast<float>(sum + static_cast<double>(offsets[n]));
            store_row({&value, 1}, y.cols_from(n, 1), t);
        }
    }
}

}  // namespace tesserank::kernels::reference
