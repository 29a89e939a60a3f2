#include "kernels/contracts.hpp"
#include "kernels/cuda/cuda_backend.hpp"
#include "kernels/cuda/packs.cuh"

/// Bound by memory: every element is read and written once, 32 bytes a thread and tensor.
namespace tesserank::kernels::cuda {
namespace {

/// x += y
struct Add {
    TensorView x;
    ConstTensorView y;

    template <int Width>
    __device__ void run(std::size_t row, std::size_t col) const {
        auto sums = load_floats<Width>(row_of(x, row), DType::f32, col);
        auto const terms = load_floats<Width>(row_of(y, row), DType::f32, col);
        for (int i = 0; i < Width; ++i) sums.at[i] += terms.at[i];
        store_floats<Width>(row_of(x, row), DType::f32, col, sums);
    }
};

/// x += y * scale
struct AddScaled {
    TensorView x;
    ConstTensorView y, scale;

    template <int Width>
    __device__ void run(std::size_t row, std::size_t col) const {
        auto sums = load_floats<Width>(row_of(x, row), DType::f32, col);
        auto const terms = load_floats<Width>(row_of(y, row), DType::f32, col);
        auto const factors = load_floats<Width>(scale.data, scale.dtype, col);
        for (int i = 0; i < Width; ++i) sums.at[i] += terms.at[i] * factors.at[i];
        store_floats<Width>(row_of(x, row), DType::f32, col, sums);
    }
};

/// y = x, rounded to its dtype
struct Round {
    ConstTensorView x;
    TensorView y;

    template <int Width>
    __device__ void run(std::size_t row, std::size_t col) const {
        store_floats<Width>(row_of(y, row), y.dtype, col,
                            load_floats<Width>(row_of(x, row), x.dtype, col));
    }
};

/// y[r] = x[rows[r]], or x[r] without rows; T has an element's size, so that all bits are kept.
template <class T>
struct CopyRows {
    ConstTensorView x;
    DeviceSpan<std::size_t const> rows;
    TensorView y;

    template <int Width>
    __device__ void run(std::size_t row, std::size_t col) const {
        std::size_t const source = rows.data == nullptr ? row : rows.data[row];
        auto const* const from = reinterpret_cast<T const*>(row_of(x, source)) + col;
        auto* const to = reinterpret_cast<T*>(row_of(y, row)) + col;
        *reinterpret_cast<Pack<T, Width>*>(to) = *reinterpret_cast<Pack<T, Width> const*>(from);
    }
};

template <Activation kind>
__device__ __forceinline__ float activate(float x) {
    constexpr float root_of_2_over_pi = 0.797884560802865356F;
    if constexpr (kind == Activation::silu) {
        return x / (1.0F + expf(-x));
    } else if constexpr (kind == Activation::gelu) {
        return x * normcdff(x);  // 1 + erf would cancel
    } else {
        return 0.5F * x * (1.0F + tanhf(root_of_2_over_pi * (x + 0.044715F * x * x * x)));
    }
}

/// y = act(x)
template <Activation kind>
struct Activate {
    ConstTensorView x;
    TensorView y;

    template <int Width>
    __device__ void run(std::size_t row, std::size_t col) const {
        auto values = load_floats<Width>(row_of(x, row), x.dtype, col);
        for (int i = 0; i < Width; ++i) values.at[i] = activate<kind>(values.at[i]);
        store_floats<Width>(row_of(y, row), y.dtype, col, values);
    }
};

template <Activation kind>
void launch_activation(cudaStream_t stream, ConstTensorView x, TensorView y) {
    Area const area = join_rows({y.rows, y.cols}, x, y);
    for_each_pack(stream, area, rows_aligned(x) && rows_aligned(y), Activate<kind>{x, y});
}

/// y = act(gate) * up
template <Activation kind>
struct Gate {
    ConstTensorView gate, up;
    TensorView y;

    template <int Width>
    __device__ void run(std::size_t row, std::size_t col) const {
        auto values = load_floats<Width>(row_of(gate, row), gate.dtype, col);
        auto const factors = load_floats<Width>(row_of(up, row), up.dtype, col);
        for (int i = 0; i < Width; ++i) values.at[i] = activate<kind>(values.at[i]) * factors.at[i];
        store_floats<Width>(row_of(y, row), y.dtype, col, values);
    }
};

template <Activation kind>
void launch_gate(cudaStream_t stream, ConstTensorView gate, ConstTensorView up, TensorView y) {
    Area const area = join_rows({y.rows, y.cols}, gate, up, y);
    for_each_pack(stream, area, rows_aligned(gate) && rows_aligned(up) && rows_aligned(y),
                  Gate<kind>{gate, up, y});
}

void copy_rows(cudaStream_t stream, ConstTensorView x, DeviceSpan<std::size_t const> rows,
               TensorView y) {
    Area area{y.rows, y.cols};
    if (rows.data == nullptr) area = join_rows(area, x, y);
    bool const aligned = rows_aligned(x) && rows_aligned(y);
    switch (size_of(y.dtype)) {
        case 1:
            return for_each_pack(stream, area, aligned, CopyRows<std::uint8_t>{x, rows, y});
        case 2:
            return for_each_pack(stream, area, aligned, CopyRows<std::uint16_t>{x, rows, y});
        default:
            return for_each_pack(stream, area, aligned, CopyRows<std::uint32_t>{x, rows, y});
    }
}

}  // namespace

void CudaBackend::copy(ConstTensorView source, TensorView destination) {
    contracts::copy(source, destination);
    copy_rows(stream(), source, {}, destination);
}

void CudaBackend::add(TensorView x, ConstTensorView y) {
    contracts::add(x, y);
    Area const area = join_rows({x.rows, x.cols}, x, y);
    for_each_pack(stream(), area, rows_aligned(x) && rows_aligned(y), Add{x, y});
}

void CudaBackend::add_scaled(TensorView x, ConstTensorView y, ConstTensorView scale) {
    contracts::add_scaled(x, y, scale);
    for_each_pack(stream(), {x.rows, x.cols},
                  rows_aligned(x) && rows_aligned(y) && rows_aligned(scale),
                  AddScaled{x, y, scale});
}

void CudaBackend::round(ConstTensorView x, TensorView y) {
    contracts::round(x, y);
    Area const area = join_rows({x.rows, x.cols}, x, y);
    for_each_pack(stream(), area, rows_aligned(x) && rows_aligned(y), Round{x, y});
}

void CudaBackend::gather_rows(ConstTensorView x, std::span<std::size_t const> rows, TensorView y) {
    contracts::gather_rows(x, rows, y);
    if (rows.empty() || y.cols == 0) return;
    copy_rows(stream(), x, upload(rows), y);
}

void CudaBackend::activation(Activation kind, ConstTensorView x, TensorView y) {
    contracts::activation(x, y);
    switch (kind) {
        case Activation::silu:
            return launch_activation<Activation::silu>(stream(), x, y);
        case Activation::gelu:
            return launch_activation<Activation::gelu>(stream(), x, y);
        case Activation::gelu_tanh:
            return launch_activation<Activation::gelu_tanh>(stream(), x, y);
    }
}

void CudaBackend::gated_activation(Activation kind, ConstTensorView gate, ConstTensorView up,
                                   TensorView y) {
    contracts::gated_activation(gate, up, y);
    switch (kind) {
        case Activation::silu:
            return launch_gate<Activation::silu>(stream(), gate, up, y);
        case Activation::gelu:
            return launch_gate<Activation::gelu>(stream(), gate, up, y);
        case Activation::gelu_tanh:
            return launch_gate<Activation::gelu_tanh>(stream(), gate, up, y);
    }
}

}  // namespace tesserank::kernels::cuda
