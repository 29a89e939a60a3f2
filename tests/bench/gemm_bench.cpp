// How fast y = x W^T is for few and for many rows of x, and where our own kernel should hand over
// to oneDNN. W is taken from a set of matrices larger than the caches, as in a model. One line per
// shape: the fastest of some runs of ours and of plain oneDNN with f32 weights, and their ratio.
// Times are those of the calling thread alone, so that other programs on the machine disturb less.
//
//     OMP_NUM_THREADS=1 kernels_gemm_bench [N K [f32|bf16|f16]]

#include "kernels/backend.hpp"
#include "kernels/kokkos/onednn.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace tesserank::kernels;

constexpr std::size_t bytes_beyond_caches = std::size_t{96} << 20U;
constexpr int repetitions = 5;

struct Shape {
    std::size_t rows = 2048;
    std::size_t depth = 2048;
};

void fill(TensorView const& view, std::mt19937& engine) {
    std::normal_distribution<float> distribution;
    visit_dtype(view.dtype, [&]<class T>(T) {
        std::vector<T> values(4099);
        for (T& value : values) value = from_float<T>(distribution(engine));
        for (std::size_t i = 0; i < view.size(); ++i) view.row<T>(0)[i] = values[i % values.size()];
    });
}

/// The weights of several layers.
std::vector<Tensor> make_weights(Backend& backend, DType dtype, Shape shape) {
    std::mt19937 engine{1};
    std::vector<Tensor> all;
    std::size_t const bytes = shape.rows * shape.depth * size_of(dtype);
    for (std::size_t total = 0; total < bytes_beyond_caches; total += bytes) {
        all.push_back(make_tensor(backend, dtype, shape.rows, shape.depth));
        fill(all.back().view, engine);
    }
    return all;
}

double seconds_of_this_thread() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Seconds of one product.
template <class Multiply>
double measure(std::vector<Tensor> const& weights, Multiply const& multiply) {
    double fastest = 1e9;
    for (int i = 0; i < repetitions; ++i) {
        double const start = seconds_of_this_thread();
        for (auto const& w : weights) multiply(w.view);
        double const seconds = seconds_of_this_thread() - start;
        fastest = std::min(fastest, seconds / static_cast<double>(weights.size()));
    }
    return fastest;
}

void compare(Backend& backend, DType dtype, Shape shape) {
    auto const weights = make_weights(backend, dtype, shape);
    auto const plain = make_weights(backend, DType::f32, shape);
    for (std::size_t const tokens : {1U, 2U, 4U, 6U, 8U, 12U, 16U, 17U, 24U, 32U, 64U, 256U}) {
        auto const x = make_tensor(backend, DType::f32, tokens, shape.depth);
        auto const y = make_tensor(backend, DType::f32, tokens, shape.rows);
        std::mt19937 engine{2};
        fill(x.view, engine);
        double const ours =
            measure(weights, [&](TensorView const& w) { backend.gemm(x.view, w, {}, y.view); });
        double const onednn = measure(
            plain, [&](TensorView const& w) { kokkos::onednn_gemm_f32(x.view, w, y.view); });
        double const bytes = static_cast<double>(shape.rows * shape.depth * size_of(dtype));
        double const operations = 2.0 * static_cast<double>(tokens * shape.rows * shape.depth);
        std::printf("%-5s %5zu %6zu %6zu %10.0f %8.2f %9.1f %12.0f %8.2f\n",
                    std::string(name_of(dtype)).c_str(), tokens, shape.rows, shape.depth,
                    ours * 1e6, bytes / ours / 1e9, operations / ours / 1e9, onednn * 1e6,
                    onednn / ours);
    }
}

}  // namespace

int main(int argc, char** argv) {
    Shape shape;
    if (argc >= 3) {
        shape.rows = std::strtoul(argv[1], nullptr, 10);
        shape.depth = std::strtoul(argv[2], nullptr, 10);
    }
    auto const backend = make_kokkos_backend();
    std::printf("%-5s %5s %6s %6s %10s %8s %9s %12s %8s\n", "W", "T", "N", "K", "ours us", "GB/s",
                "GFLOP/s", "oneDNN f32us", "ratio");
    for (DType const dtype : {DType::f32, DType::bf16, DType::f16}) {
        if (argc == 4 && name_of(dtype) != argv[3]) continue;
        compare(*backend, dtype, shape);
    }
}
