#pragma once

#include "model/machine.hpp"

#include <cstddef>

namespace tesserank::test {

/// A machine with a few points of everything: round figures, no measurements.
inline model::MachinePoints small_machine(int ranks) {
    using kernels::DType;
    using model::Busy;
    using Phase = model::Step::Phase;
    model::MachinePoints points;
    points.ranks = ranks;
    for (std::size_t const size : {256U, 1024U}) {
        double const scale = static_cast<double>(size * size) * 1e-9;
        for (auto const weight : {DType::f32, DType::bf16}) {
            double const unit = weight == DType::f32 ? scale : scale / 2;
            points.gemms.push_back({{{weight, DType::f32, 1, size, size}, Busy::all}, unit});
            points.gemms.push_back({{{weight, DType::f32, 64, size, size}, Busy::all}, 16 * unit});
        }
        points.gemms.push_back(
            {{{DType::f32, DType::f32, 1, size, size}, Busy::one}, scale * 0.75});
    }
    for (auto const phase : {Phase::prefill, Phase::decode}) {
        for (std::size_t const rows : {1U, 16U}) {
            for (std::size_t const context : {64U, 256U}) {
                points.attentions.push_back(
                    {{{phase, DType::f32, rows, context, 8, 4, 64}, Busy::all},
                     static_cast<double>(rows * context) * 1e-7});
            }
        }
    }
    points.passes = {{{{1024}, Busy::all}, 1e-6}, {{{1 << 20}, Busy::all}, 2e-4}};
    if (ranks == 1) return points;
    for (auto const kind : parallel::all_collectives) {
        points.collectives.push_back({{{kind, 64}, Busy::all}, 5e-6});
        points.collectives.push_back({{{kind, 1 << 20}, Busy::all}, 1e-3});
    }
    return points;
}

}  // namespace tesserank::test
