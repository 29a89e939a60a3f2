#include "kernels/contracts.hpp"
#include "kernels/reference/reference_backend.hpp"
#include "kernels/rows.hpp"

#include <algorithm>

namespace tesserank::kernels::reference {

void ReferenceBackend::embed(DeviceSpan<std::int32_t const> ids, ConstTensorView table,
                             std::int32_t first_id, TensorView y) {
    contracts::embed(ids, table, y);
    for (std::size_t t = 0; t < ids.size; ++t) {
        std::span<float> const row(y.row<float>(t), y.cols);
        std::int64_t const index = std::int64_t{ids.data[t]} - first_id;
        if (index >= 0 && index < static_cast<std::int64_t>(table.rows)) {
            load_row(table, static_cast<std::size_t>(index), row);
        } else {
            std::fill(row.begin(), row.end(), 0.0F);
        }
    }
}

}  // namespace tesserank::kernels::reference
