#include "kernels/contracts.hpp"
#include "kernels/cuda/cuda_backend.hpp"
#include "kernels/cuda/packs.cuh"

namespace tesserank::kernels::cuda {
namespace {

struct Embed {
    DeviceSpan<std::int32_t const> ids;
    ConstTensorView table;
    std::int32_t first_id;
    TensorView y;

    template <int Width>
    __device__ void run(std::size_t row, std::size_t col) const {
        std::int64_t const index = std::int64_t{ids.data[row]} - first_id;
        Floats<Width> values{};
        if (index >= 0 && index < static_cast<std::int64_t>(table.rows)) {
            values = load_floats<Width>(row_of(table, static_cast<std::size_t>(index)), table.dtype,
                                        col);
        }
        store_floats<Width>(row_of(y, row), DType::f32, col, values);
    }
};

}  // namespace

void CudaBackend::embed(DeviceSpan<std::int32_t const> ids, ConstTensorView table,
                        std::int32_t first_id, TensorView y) {
    contracts::embed(ids, table, y);
    for_each_pack(stream(), {y.rows, y.cols}, rows_aligned(table) && rows_aligned(y),
                  Embed{ids, table, first_id, y});
}

}  // namespace tesserank::kernels::cuda
