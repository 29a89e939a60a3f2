#include "app/calibration_table.hpp"

#include "app/plan_table.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::app {
namespace {

using kernels::DType;
using model::Busy;
using model::Machine;
using Phase = model::Step::Phase;

constexpr std::size_t matrix_size = 2048;
constexpr std::array<std::size_t, 5> rows_shown{1, 8, 32, 128, 512};

std::string three_digits(double value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), value >= 1000 ? "%.0f" : "%.3g", value);
    return text.data();
}

/// Billions a second.
std::string rate(double amount, double seconds) { return three_digits(amount / seconds / 1e9); }

std::string microseconds(double seconds) { return three_digits(seconds * 1e6); }

void print_gemms(std::ostream& out, Machine const& machine) {
    std::vector<std::pair<DType, DType>> dtypes;
    for (auto const& [task, seconds] : machine.points().gemms) {
        std::pair const pair(task.work.weight, task.work.input);
        if (std::ranges::find(dtypes, pair) == dtypes.end()) dtypes.push_back(pair);
    }
    Table table({"GEMM 2048 x 2048", "inputs", "rows", "us", "weights GB/s", "GFLOP/s"});
    for (auto const& [weight, input] : dtypes) {
        for (auto const rows : rows_shown) {
            double const seconds =
                machine.gemm_seconds({weight, input, rows, matrix_size, matrix_size}, Busy::all);
            double const elements = matrix_size * matrix_size;
            auto const bytes = elements * static_cast<double>(kernels::size_of(weight));
            table.add({std::string(kernels::name_of(weight)), std::string(kernels::name_of(input)),
                       std::to_string(rows), microseconds(seconds), rate(bytes, seconds),
                       rate(2 * elements * static_cast<double>(rows), seconds)});
        }
    }
    table.print(out);
}

void print_attention(std::ostream& out, Machine const& machine) {
    constexpr std::size_t heads = 16, head_dim = 64, context = 512;
    Table table({"attention, 16 heads of 64, context 512", "rows", "us", "GFLOP/s"});
    for (auto const& [phase, rows] : {std::pair<Phase, std::size_t>{Phase::decode, 1},
                                      {Phase::decode, 8},
                                      {Phase::prefill, 128}}) {
        double const seconds = machine.attention_seconds(
            {phase, DType::f32, rows, context, heads, heads, head_dim}, Busy::all);
        table.add({phase == Phase::decode ? "decode" : "prefill", std::to_string(rows),
                   microseconds(seconds),
                   rate(4.0 * static_cast<double>(rows * context * heads * head_dim), seconds)});
    }
    table.print(out);
}

void print_passes(std::ostream& out, Machine const& machine) {
    Table table({"norms and activations", "us", "GB/s"});
    for (unsigned const bits : {14U, 17U, 20U, 24U}) {
        std::size_t const bytes = std::size_t{1} << bits;
        double const seconds = machine.pass_seconds(bytes, Busy::all);
        table.add({readable_bytes(bytes), microseconds(seconds),
                   rate(static_cast<double>(bytes), seconds)});
    }
    table.print(out);
}

void print_collectives(std::ostream& out, Machine const& machine) {
    constexpr std::size_t medium = std::size_t{64} << 10, large = std::size_t{16} << 20;
    Table table({"collective in a pass", "latency us", "64 KiB us", "16 MiB us", "GB/s"});
    for (auto const kind : parallel::all_collectives) {
        auto const seconds = [&](std::size_t bytes) {
            return machine.collective_seconds(kind, bytes);
        };
        table.add({std::string(parallel::name_of(kind)), microseconds(seconds(sizeof(float))),
                   microseconds(seconds(medium)), microseconds(seconds(large)),
                   rate(static_cast<double>(large), seconds(large))});
    }
    table.print(out);
}

}  // namespace

void print_machine(std::ostream& out, Machine const& machine) {
    print_gemms(out, machine);
    out << '\n';
    print_attention(out, machine);
    out << '\n';
    print_passes(out, machine);
    if (machine.ranks() == 1) return;
    out << '\n';
    print_collectives(out, machine);
}

}  // namespace tesserank::app
