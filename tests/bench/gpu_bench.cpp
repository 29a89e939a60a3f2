// What the kernels of a GPU reach, beside what the device itself reaches in the same run: the
// bandwidth of a large copy (bytes read and written) and the rate of a large bf16 matrix product.
// One line of JSON for each piece of work, its share of the ceiling that binds it last.
//
//     gpu_bench [--tiny]      --tiny: sizes that an emulated device runs in seconds, to try the
//     program

#include "kernels/backend.hpp"
#include "kernels/cuda_device.hpp"
#include "kernels/resident_decode.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace tesserank::kernels;

struct Sizes {
    std::size_t copy_bytes, product;  ///< of the two ceilings
    std::size_t beyond_cache;         ///< bytes over which weights are taken in turn
    std::size_t scale;                ///< by which other dimensions are divided
    int repetitions;
};
constexpr Sizes full{std::size_t{4} << 30U, 8192, std::size_t{1} << 30U, 1, 15};
constexpr Sizes tiny{std::size_t{1} << 16U, 64, std::size_t{1} << 16U, 64, 2};

/// Random bf16 or f32 numbers near 1 in size: a device may run faster on zeros.
Tensor random_tensor(Backend& backend, DType dtype, std::size_t rows, std::size_t cols) {
    static std::vector<float> const noise = [] {
        std::mt19937 engine{1};
        std::normal_distribution<float> distribution;
        std::vector<float> values((std::size_t{1} << 20U) + 7);
        for (float& value : values) value = distribution(engine);
        return values;
    }();
    auto tensor = make_tensor(backend, dtype, rows, cols);
    visit_dtype(dtype, [&]<class T>(T) {
        std::vector<T> part(noise.size());
        std::ranges::transform(noise, part.begin(), [](float v) { return from_float<T>(v); });
        auto const bytes = std::as_bytes(std::span(part));
        for (std::size_t done = 0; done < tensor.view.bytes(); done += bytes.size()) {
            backend.copy_from_host(bytes.first(std::min(bytes.size(), tensor.view.bytes() - done)),
                                   tensor.view.data + done);
        }
    });
    backend.synchronize();
    return tensor;
}

template <class T>
Buffer to_device(Backend& backend, std::vector<T> const& values) {
    auto buffer = backend.allocate(values.size() * sizeof(T));
    backend.copy_from_host(std::as_bytes(std::span(values)), buffer.get());
    backend.synchronize();
    return buffer;
}

class Bench {
  public:
    Bench(Backend& backend, Sizes const& sizes) : backend_{backend}, sizes_{sizes} {}

    void run() {
        measure_copy();
        measure_product();
        for (auto const& [name, rows, depth] : weights_of_models) measure_skinny(name, rows, depth);
        measure_decode_attention();
        measure_prefill_attention();
    }

  private:
    struct Shape {
        char const* name;
        std::size_t rows, depth;
    };
    static constexpr Shape weights_of_models[] = {
        {"1b qkv", 3072, 2048},      {"1b out", 2048, 2048},       {"1b gate_up", 16384, 2048},
        {"1b down", 2048, 8192},     {"1b lm_head", 128256, 2048}, {"8b qkv", 6144, 4096},
        {"8b out", 4096, 4096},      {"8b gate_up", 28672, 4096},  {"8b down", 4096, 14336},
        {"8b lm_head", 128256, 4096}};

    std::size_t scaled(std::size_t size) const {
        return std::max(size / sizes_.scale, std::size_t{64});
    }

    /// Median seconds of one call of `work`, which is queued `calls` times as one recording.
    double seconds_of(std::size_t calls, std::function<void(std::size_t)> const& work) const {
        auto* const resident = backend_.resident_decode();
        work(0);  // what is allocated or looked up once
        backend_.synchronize();
        auto const recording = resident->record([&] {
            for (std::size_t i = 0; i < calls; ++i) work(i);
        });
        std::vector<double> seconds;
        for (int i = 0; i <= sizes_.repetitions; ++i) {
            auto const start = std::chrono::steady_clock::now();
            recording->replay();
            backend_.synchronize();
            std::chrono::duration<double> const taken = std::chrono::steady_clock::now() - start;
            if (i > 0) seconds.push_back(taken.count() / static_cast<double>(calls));
        }
        std::ranges::sort(seconds);
        return seconds[seconds.size() / 2];
    }

    void report(std::string const& name, double seconds, double amount, double ceiling,
                char const* unit) const {
        std::printf(
            "{\"work\": \"%s\", \"microseconds\": %.2f, \"%s\": %.1f, \"of_ceiling\": %.3f}\n",
            name.c_str(), seconds * 1e6, unit, amount / seconds * 1e-9, amount / seconds / ceiling);
        std::fflush(stdout);
    }

    void measure_copy() {
        auto const cols = sizes_.copy_bytes / 2 / 64 / sizeof(float);
        auto const from = random_tensor(backend_, DType::f32, 64, cols);
        auto const to = make_tensor(backend_, DType::f32, 64, cols);
        double const bytes = 2.0 * static_cast<double>(from.view.bytes());
        double const seconds =
            seconds_of(4, [&](std::size_t) { backend_.copy(from.view, to.view); });
        copy_rate_ = bytes / seconds;
        report("copy", seconds, bytes, copy_rate_, "gigabytes_per_second");
    }

    void measure_product() {
        auto const n = sizes_.product;
        auto const x = random_tensor(backend_, DType::bf16, n, n);
        auto const w = random_tensor(backend_, DType::bf16, n, n);
        auto const y = make_tensor(backend_, DType::bf16, n, n);
        double const operations = 2.0 * std::pow(static_cast<double>(n), 3.0);
        double const seconds =
            seconds_of(4, [&](std::size_t) { backend_.gemm(x.view, w.view, {}, y.view); });
        product_rate_ = operations / seconds;
        report("product", seconds, operations, product_rate_, "gigaflops");
    }

    /// Weights that are read once for a few rows.
    void measure_skinny(std::string const& name, std::size_t rows, std::size_t depth) {
        auto const n = scaled(rows), k = scaled(depth);
        std::size_t const bytes = n * k * size_of(DType::bf16);
        std::vector<Tensor> weights(std::max<std::size_t>(sizes_.beyond_cache / bytes, 2));
        for (auto& w : weights) w = random_tensor(backend_, DType::bf16, n, k);
        for (std::size_t const tokens : {1U, 2U, 4U, 8U, 16U}) {
            auto const x = random_tensor(backend_, DType::bf16, tokens, k);
            auto const y = make_tensor(backend_, DType::bf16, tokens, n);
            double const seconds = seconds_of(weights.size(), [&](std::size_t i) {
                backend_.gemm(x.view, weights[i].view, {}, y.view);
            });
            report("gemm " + name + ", " + std::to_string(tokens) + " rows", seconds,
                   static_cast<double>(bytes), copy_rate_, "gigabytes_per_second");
        }
    }

    void measure_decode_attention() {
        constexpr std::size_t kv_heads = 8, group = 4, head_dim = 128;
        for (auto const& [batch, context] :
             {std::pair<std::size_t, std::size_t>{64, 8192}, {1, 8192}, {32, 2048}}) {
            std::size_t const tokens = scaled(context),
                              sequences = std::max<std::size_t>(batch / sizes_.scale, 1);
            auto const keys =
                random_tensor(backend_, DType::bf16, sequences * tokens, kv_heads * head_dim);
            auto const values =
                random_tensor(backend_, DType::bf16, sequences * tokens, kv_heads * head_dim);
            auto const q =
                random_tensor(backend_, DType::bf16, sequences, kv_heads * group * head_dim);
            auto const y =
                make_tensor(backend_, DType::bf16, sequences, kv_heads * group * head_dim);
            std::vector<Segment> list(sequences);
            for (std::size_t i = 0; i < sequences; ++i) {
                list[i] = {
                    .row = i, .tokens = 1, .first_position = tokens - 1, .cache_row = i * tokens};
            }
            auto const device = to_device(backend_, list);
            Segments const segments{
                {reinterpret_cast<Segment const*>(device.get()), sequences}, 1, tokens};
            AttentionShape const shape{.query_heads = kv_heads * group,
                                       .kv_heads = kv_heads,
                                       .head_dim = head_dim,
                                       .queries_per_kv = group,
                                       .scale = 1.0F / std::sqrt(static_cast<float>(head_dim))};
            double const seconds = seconds_of(4, [&](std::size_t) {
                backend_.attention_decode(q.view, keys.view, values.view, segments, shape, y.view);
            });
            report("decode attention, batch " + std::to_string(batch) + ", context " +
                       std::to_string(context),
                   seconds, static_cast<double>(keys.view.bytes() + values.view.bytes()),
                   copy_rate_, "gigabytes_per_second");
        }
    }

    void measure_prefill_attention() {
        constexpr std::size_t kv_heads = 8, group = 4;
        for (std::size_t const head_dim : {64U, 80U, 96U, 128U, 256U}) {
            std::size_t const tokens = scaled(8192);
            auto const keys = random_tensor(backend_, DType::bf16, tokens, kv_heads * head_dim);
            auto const values = random_tensor(backend_, DType::bf16, tokens, kv_heads * head_dim);
            auto const q =
                random_tensor(backend_, DType::bf16, tokens, kv_heads * group * head_dim);
            auto const y = make_tensor(backend_, DType::bf16, tokens, kv_heads * group * head_dim);
            auto const device =
                to_device(backend_, std::vector<Segment>{{.row = 0, .tokens = tokens}});
            Segments const segments{
                {reinterpret_cast<Segment const*>(device.get()), 1}, tokens, tokens};
            AttentionShape const shape{.query_heads = kv_heads * group,
                                       .kv_heads = kv_heads,
                                       .head_dim = head_dim,
                                       .queries_per_kv = group,
                                       .scale = 1.0F / std::sqrt(static_cast<float>(head_dim))};
            double const seconds = seconds_of(2, [&](std::size_t) {
                backend_.attention_prefill(q.view, keys.view, values.view, segments, shape, y.view);
            });
            // Two products, of which the causal mask leaves half.
            double const t = static_cast<double>(tokens);
            double const operations =
                2.0 * static_cast<double>(kv_heads * group * head_dim) * t * (t + 1.0);
            report("prefill attention, head_dim " + std::to_string(head_dim), seconds, operations,
                   product_rate_, "gigaflops");
        }
    }

    Backend& backend_;
    Sizes sizes_;
    double copy_rate_ = 0.0, product_rate_ = 0.0;
};

}  // namespace

int main(int argc, char** argv) {
    bool const small = argc == 2 && std::strcmp(argv[1], "--tiny") == 0;
    auto const devices = find_cuda_devices();
    if (devices.list.empty()) {
        std::fprintf(stderr, "gpu_bench: no GPU: %s\n", devices.why_none.c_str());
        return 1;
    }
    auto const& device = devices.list.front();
    std::printf("{\"device\": \"%s\", \"capability\": \"%d.%d\", \"bytes\": %zu}\n",
                device.name.c_str(), device.major, device.minor, device.memory_bytes);
    auto const backend = make_cuda_backend(device.index);
    Bench(*backend, small ? tiny : full).run();
}
