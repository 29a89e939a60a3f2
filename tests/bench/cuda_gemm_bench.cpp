// How near to the speed of memory y = x W^T is for few rows of x, and to that of cuBLASLt's largest
// products for many, on a GPU. W is taken from a set of matrices larger than the L2 cache, as in a
// model, and all products of a set are replayed as one recording, as in decode. One line per shape:
// the fastest of some runs, W's bytes per second, and their ratio to those of a copy (read and
// written) in the same run.
//
//     kernels_cuda_gemm_bench [N K [MiB of the set]]

#include "kernels/cuda_device.hpp"
#include "kernels/resident_decode.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iterator>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace tesserank::kernels;

constexpr int repetitions = 5;

struct Shape {
    std::size_t rows, depth;
};

struct Sizes {
    std::vector<Shape> shapes;
    std::size_t set_bytes = std::size_t{512} << 20U;
};

/// Of the matrices of Llama-3.2-1B and Llama-3.1-8B.
constexpr Shape model_shapes[] = {{3072, 2048},   {2048, 2048},  {16384, 2048}, {2048, 8192},
                                  {128256, 2048}, {6144, 4096},  {4096, 4096},  {28672, 4096},
                                  {4096, 14336},  {128256, 4096}};

/// fp8 weights have scales.
struct Weights {
    Tensor elements, scales;
};

/// Random numbers, again and again: zeros would leave the device cooler, and faster, than it is.
template <class T>
void fill(Backend& backend, TensorView const& view) {
    std::mt19937 engine{1};
    std::normal_distribution<float> distribution;
    std::vector<T> pattern(std::size_t{1} << 20U);
    for (T& value : pattern) value = from_float<T>(distribution(engine));
    auto const bytes = std::as_bytes(std::span(pattern));
    for (std::size_t begin = 0; begin < view.bytes(); begin += bytes.size()) {
        std::size_t const count = std::min(bytes.size(), view.bytes() - begin);
        backend.copy_from_host(bytes.first(count), view.data + begin);
    }
}

/// Of all layers.
std::vector<Weights> make_weights(Backend& backend, DType dtype, Shape shape,
                                  std::size_t set_bytes) {
    std::vector<Weights> all;
    std::size_t const bytes = shape.rows * shape.depth * size_of(dtype);
    for (std::size_t total = 0; total < set_bytes; total += bytes) {
        all.push_back({make_tensor(backend, dtype, shape.rows, shape.depth),
                       make_tensor(backend, DType::f32, 1, shape.rows)});
        TensorView const elements = all.back().elements.view;
        dtype == DType::bf16 ? fill<BFloat16>(backend, elements) : fill<Float8>(backend, elements);
    }
    return all;
}

/// Seconds of the work when it is replayed.
template <class Work>
double measure(Backend& backend, Work const& work) {
    work();  // chooses algorithms
    auto const recording = backend.resident_decode()->record(work);
    double fastest = 1e9;
    for (int i = 0; i < repetitions; ++i) {
        backend.synchronize();
        auto const start = std::chrono::steady_clock::now();
        recording->replay();
        backend.synchronize();
        std::chrono::duration<double> const passed = std::chrono::steady_clock::now() - start;
        fastest = std::min(fastest, passed.count());
    }
    return fastest;
}

double copy_bandwidth(Backend& backend, std::size_t bytes) {
    auto const from = make_tensor(backend, DType::f32, 1, bytes / sizeof(float));
    auto const to = make_tensor(backend, DType::f32, 1, bytes / sizeof(float));
    double const seconds = measure(backend, [&] { backend.copy(from.view, to.view); });
    return 2.0 * static_cast<double>(bytes) / seconds;
}

/// Seconds of one product.
double measure_product(Backend& backend, std::vector<Weights> const& weights,
                       ConstTensorView const& x, TensorView const& y) {
    double const seconds = measure(backend, [&] {
        for (auto const& [w, scales] : weights) {
            if (w.view.dtype == DType::f8e4m3) {
                backend.gemm_scaled(x, w.view, scales.view, {}, y);
            } else {
                backend.gemm(x, w.view, {}, y);
            }
        }
    });
    return seconds / static_cast<double>(weights.size());
}

void measure_shape(Backend& backend, std::vector<Weights> const& weights, double bandwidth) {
    TensorView const w = weights.front().elements.view;
    for (std::size_t const tokens : {1U, 4U, 8U, 16U, 32U, 128U, 2048U}) {
        auto const x = make_tensor(backend, DType::bf16, tokens, w.cols);
        auto const y = make_tensor(backend, DType::bf16, tokens, w.rows);
        fill<BFloat16>(backend, x.view);
        double const seconds = measure_product(backend, weights, x.view, y.view);
        double const rate = static_cast<double>(w.bytes()) / seconds;
        double const operations = 2.0 * static_cast<double>(tokens * w.size());
        std::printf("%-6s %5zu %6zu %6zu %10.2f %8.0f %6.3f %9.1f\n",
                    std::string(name_of(w.dtype)).c_str(), tokens, w.rows, w.cols, seconds * 1e6,
                    rate / 1e9, rate / bandwidth, operations / seconds / 1e12);
    }
}

void run(Sizes const& sizes) {
    auto const backend = make_cuda_backend(0);
    double const bandwidth = copy_bandwidth(*backend, sizes.set_bytes);
    std::printf("copy: %.0f GB/s\n%-6s %5s %6s %6s %10s %8s %6s %9s\n", bandwidth / 1e9, "W", "T",
                "N", "K", "us", "GB/s", "ratio", "TFLOP/s");
    for (DType const dtype : {DType::bf16, DType::f8e4m3}) {
        for (Shape const shape : sizes.shapes) {
            measure_shape(*backend, make_weights(*backend, dtype, shape, sizes.set_bytes),
                          bandwidth);
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    Sizes sizes{.shapes = {std::begin(model_shapes), std::end(model_shapes)}};
    auto const number = [&](int index) { return std::strtoul(argv[index], nullptr, 10); };
    if (argc >= 3) sizes.shapes = {{number(1), number(2)}};
    if (argc == 4) sizes.set_bytes = number(3) << 20U;
    try {
        run(sizes);
    } catch (std::exception const& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
