#pragma once

#include "kernels/dtype.hpp"
#include "kernels/error.hpp"

#include <cstddef>

namespace tesserank::kernels {

/// A borrowed row-major matrix [rows, cols] in a backend's memory; `stride` elements lie between
/// the starts of two rows, so that a range of columns is a view too. A vector is one row. Never
/// owns.
template <class Pointer>
struct BasicTensorView {
    Pointer data{};
    DType dtype = DType::f32;
    std::size_t rows = 0;
    std::size_t cols = 0;
    std::size_t stride = 0;

    std::size_t size() const { return rows * cols; }
    std::size_t bytes() const { return size() * size_of(dtype); }
    bool contiguous() const { return stride == cols || rows <= 1; }
    /// Whether both are the same elements of the same memory, not what these hold.
    bool operator==(BasicTensorView const&) const = default;
};

struct ConstTensorView;

/// See BasicTensorView; the elements may be written.
struct TensorView : BasicTensorView<std::byte*> {
    template <class T>
    T* row(std::size_t index) const {
        require(dtype_of<T>() == dtype, "tensor has another dtype");
        return reinterpret_cast<T*>(data) + index * stride;
    }
    TensorView rows_from(std::size_t first, std::size_t count) const {
        require(first + count <= rows, "rows lie outside the tensor");
        return {{data + first * stride * size_of(dtype), dtype, count, cols, stride}};
    }
    TensorView cols_from(std::size_t first, std::size_t count) const {
        require(first + count <= cols, "columns lie outside the tensor");
        return {{data + first * size_of(dtype), dtype, rows, count, stride}};
    }
};

/// See BasicTensorView; read only.
struct ConstTensorView : BasicTensorView<std::byte const*> {
    ConstTensorView() = default;
    ConstTensorView(BasicTensorView<std::byte const*> const& base) : BasicTensorView{base} {}
    ConstTensorView(TensorView const& v) {
        data = v.data;
        dtype = v.dtype;
        rows = v.rows;
        cols = v.cols;
        stride = v.stride;
    }

    template <class T>
    T const* row(std::size_t index) const {
        require(dtype_of<T>() == dtype, "tensor has another dtype");
        return reinterpret_cast<T const*>(data) + index * stride;
    }
    ConstTensorView rows_from(std::size_t first, std::size_t count) const {
        require(first + count <= rows, "rows lie outside the tensor");
        return BasicTensorView<std::byte const*>{data + first * stride * size_of(dtype), dtype,
                                                 count, cols, stride};
    }
    ConstTensorView cols_from(std::size_t first, std::size_t count) const {
        require(first + count <= cols, "columns lie outside the tensor");
        return BasicTensorView<std::byte const*>{data + first * size_of(dtype), dtype, rows, count,
                                                 stride};
    }
};

/// A contiguous view of memory that the caller owns.
template <class T>
TensorView view_of(T* data, std::size_t rows, std::size_t cols) {
    return {{reinterpret_cast<std::byte*>(data), dtype_of<T>(), rows, cols, cols}};
}
template <class T>
ConstTensorView view_of(T const* data, std::size_t rows, std::size_t cols) {
    return BasicTensorView<std::byte const*>{reinterpret_cast<std::byte const*>(data),
                                             dtype_of<T>(), rows, cols, cols};
}

}  // namespace tesserank::kernels
