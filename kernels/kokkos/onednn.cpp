#include "kernels/kokkos/onednn.hpp"

#include "kernels/error.hpp"

#include <dnnl.hpp>

#include <string>

namespace tesserank::kernels::kokkos {
namespace {

using dnnl::memory;

dnnl_dim_t dimension(std::size_t value) { return static_cast<dnnl_dim_t>(value); }

[[noreturn]] void throw_failure(std::string const& reason) {
    throw SystemError("oneDNN cannot multiply matrices: " + reason);
}

/// oneDNN takes non-const pointers for what it only reads.
memory bf16_or_f32(ConstTensorView const& view, memory::dims const& sizes,
                   memory::dims const& strides, dnnl::engine const& engine) {
    auto const type = view.dtype == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
    return {memory::desc(sizes, type, strides), engine, const_cast<std::byte*>(view.data)};
}

}  // namespace

void onednn_gemm_f32(ConstTensorView const& x, ConstTensorView const& w, TensorView const& y) {
    auto const status =
        dnnl_sgemm('N', 'T', dimension(x.rows), dimension(w.rows), dimension(x.cols), 1.0F,
                   x.row<float>(0), dimension(x.stride), w.row<float>(0), dimension(w.stride), 0.0F,
                   y.row<float>(0), dimension(y.stride));
    if (status != dnnl_success) throw_failure("dnnl_sgemm returned " + std::to_string(status));
}

bool onednn_has_fast_bf16() {
    switch (dnnl::get_effective_cpu_isa()) {
        case dnnl::cpu_isa::avx512_core_bf16:
        case dnnl::cpu_isa::avx512_core_amx:
            return true;
        default:
            return false;
    }
}

void onednn_gemm_bf16(ConstTensorView const& x, ConstTensorView const& w, TensorView const& y) try {
    static dnnl::engine const engine(dnnl::engine::kind::cpu, 0);
    dnnl::stream stream(engine);
    auto const tokens = dimension(x.rows);
    auto const rows = dimension(w.rows);
    auto const depth = dimension(x.cols);
    auto const source = bf16_or_f32(x, {tokens, depth}, {dimension(x.stride), 1}, engine);
    auto const weights = bf16_or_f32(w, {depth, rows}, {1, dimension(w.stride)}, engine);
    auto const result = bf16_or_f32(y, {tokens, rows}, {dimension(y.stride), 1}, engine);
    dnnl::matmul::desc const description(source.get_desc(), weights.get_desc(), result.get_desc());
    dnnl::matmul const product(dnnl::matmul::primitive_desc(description, engine));
    product.execute(stream,
                    {{DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, result}});
    stream.wait();
} catch (dnnl::error const& error) {
    throw_failure(error.what());
}

}  // namespace tesserank::kernels::kokkos
