#include "model/whole_norm.hpp"

namespace tesserank::model {

using kernels::TensorView;

void WholeNorm::operator()(kernels::Backend& backend, parallel::Redistributor* redistribute,
                           TensorView q, TensorView k, std::size_t shared, TensorView sums) const {
    auto const of_query = sums.cols_from(0, 1), of_key = sums.cols_from(1, 1);
    backend.square_sums(q, of_query);
    backend.square_sums(k.cols_from(shared, k.cols - shared), of_key);
    if (redistribute != nullptr) {
        (*redistribute)(parallel::Activation<parallel::Partial>{sums, {}}, parallel::Replicated{},
                        {.whole = sums});
    }
    backend.scale_by_square_sums(q, of_query, query_columns, query, eps);
    backend.scale_by_square_sums(k, of_key, key_columns, key, eps);
}

}  // namespace tesserank::model
