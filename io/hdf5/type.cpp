#include "io/hdf5/type.hpp"

#include "io/hdf5/error.hpp"

namespace tesserank::io {
namespace {

using kernels::DType;

/// A float with `exponent` and `mantissa` bits. The fields must be set before the precision, and
/// that before the size, or HDF5 refuses the steps in between.
H5Type sixteen_bit_float(std::size_t exponent, std::size_t mantissa) {
    auto type = own_h5<H5Type>(H5Tcopy(H5T_IEEE_F32LE), "H5Tcopy");
    check_h5(H5Tset_fields(type.get(), 15, mantissa, exponent, 0, mantissa), "H5Tset_fields");
    check_h5(H5Tset_precision(type.get(), 16), "H5Tset_precision");
    check_h5(H5Tset_size(type.get(), 2), "H5Tset_size");
    auto const bias = (std::size_t{1} << (exponent - 1)) - 1;
    check_h5(H5Tset_ebias(type.get(), bias), "H5Tset_ebias");
    return type;
}

}  // namespace

H5Type h5_type_of(DType dtype) {
    if (dtype == DType::bf16) return sixteen_bit_float(8, 7);
    if (dtype == DType::f16) return sixteen_bit_float(5, 10);
    return own_h5<H5Type>(H5Tcopy(H5T_IEEE_F32LE), "H5Tcopy");
}

std::optional<DType> dtype_of_h5(H5Type const& type) {
    for (auto const dtype : {DType::f32, DType::bf16, DType::f16}) {
        if (H5Tequal(type.get(), h5_type_of(dtype).get()) > 0) return dtype;
    }
    return std::nullopt;
}

H5Type h5_text_type(std::size_t bytes) {
    auto type = own_h5<H5Type>(H5Tcopy(H5T_C_S1), "H5Tcopy");
    check_h5(H5Tset_size(type.get(), bytes), "H5Tset_size");
    check_h5(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), "H5Tset_strpad");
    check_h5(H5Tset_cset(type.get(), H5T_CSET_UTF8), "H5Tset_cset");
    return type;
}

}  // namespace tesserank::io
