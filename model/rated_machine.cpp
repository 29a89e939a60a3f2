#include "model/rated_machine.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace tesserank::model {
namespace {

using kernels::DType;

constexpr std::size_t most_bytes = std::size_t{1} << 26;

double number(std::size_t count) { return static_cast<double>(count); }

void add_gemms(MachinePoints& points, MachineRates const& rates, Task<GemmWork> task) {
    constexpr std::size_t side = 1024, most_rows = 4096;
    task.work.outputs = task.work.inputs = side;
    double const read = number(side * side * kernels::size_of(task.work.weight)) / rates.memory;
    for (std::size_t rows = 1; rows <= most_rows; rows *= 2) {
        task.work.rows = rows;
        double const multiplied = number(side * side * rows) / rates.arithmetic;
        points.gemms.push_back({task, std::max(read, multiplied)});
    }
}

void add_attention(MachinePoints& points, MachineRates const& rates, Busy busy) {
    constexpr std::size_t heads = 8, head_dim = 64;
    for (auto const phase : {Step::Phase::prefill, Step::Phase::decode}) {
        for (std::size_t const context : {16U, 1024U}) {
            for (std::size_t const rows : {1U, 1024U}) {
                AttentionWork const work{phase, DType::f32, rows, context, heads, heads, head_dim};
                // Keys and values.
                double const multiplied = 2.0 * number(rows * context * heads * head_dim);
                points.attentions.push_back({{work, busy}, multiplied / rates.arithmetic});
            }
        }
    }
}

void add_collectives(MachinePoints& points, MachineRates const& rates) {
    for (auto const kind : parallel::all_collectives) {
        double const volume = kind == parallel::Collective::all_reduce ? 2.0 : 1.0;
        for (std::size_t bytes = 1; bytes <= most_bytes; bytes *= 2) {
            double const seconds = rates.latency + volume * number(bytes) / rates.link;
            points.collectives.push_back({{{kind, bytes}, Busy::all}, seconds});
        }
    }
}

}  // namespace

Machine rated_machine(MachineRates const& rates) {
    MachinePoints points;
    points.ranks = rates.ranks;
    for (auto const busy : {Busy::all, Busy::one}) {
        MachineRates own = rates;
        if (busy == Busy::one) {
            own.memory *= rates.alone;
            own.arithmetic *= rates.alone;
        }
        for (auto const weight : {DType::f32, DType::bf16}) {
            add_gemms(points, own, {{.weight = weight, .input = DType::f32}, busy});
        }
        add_attention(points, own, busy);
        for (std::size_t const bytes : {std::size_t{1} << 10, most_bytes}) {
            points.passes.push_back({{{bytes}, busy}, number(bytes) / own.memory});
        }
    }
    if (rates.ranks > 1) add_collectives(points, rates);
    return Machine(std::move(points));
}

}  // namespace tesserank::model
