#include "kernels/contracts.hpp"
#include "kernels/kokkos/kokkos_backend.hpp"
#include "kernels/kokkos/parallel_for.hpp"

#include <algorithm>

namespace tesserank::kernels::kokkos {

void KokkosBackend::embed(DeviceSpan<std::int32_t const> ids, ConstTensorView table,
                          std::int32_t first_id, TensorView y) {
    contracts::embed(ids, table, y);
    parallel_for("embed", ids.size, [=, kernels = kernels_](std::size_t t) {
        float* const row = y.row<float>(t);
        std::int64_t const index = std::int64_t{ids.data[t]} - first_id;
        if (index < 0 || index >= static_cast<std::int64_t>(table.rows)) {
            std::fill_n(row, y.cols, 0.0F);
            return;
        }
        auto const from = table.rows_from(static_cast<std::size_t>(index), 1);
        kernels->widen(table.dtype, from.data, row, y.cols);
    });
}

}  // namespace tesserank::kernels::kokkos
