#pragma once

#include "model/machine.hpp"

#include <algorithm>
#include <cstddef>

namespace tesserank::test {

/// A machine whose figures follow from a few rates, so that the best plan can be told by hand.
struct Rates {
    int ranks = 2;
    double memory = 10e9;       ///< bytes of weights read in a second by each rank
    double arithmetic = 100e9;  ///< multiplications in a second on each rank
    double latency = 2e-6;      ///< seconds that a collective takes at least
    double link = 4e9;          ///< bytes of an activation in a second
    double alone = 1.0;         ///< how much faster a rank is while the others wait
};

inline double gemm_seconds(Rates const& rates, model::GemmWork const& work) {
    auto const elements = static_cast<double>(work.outputs) * static_cast<double>(work.inputs);
    double const read = elements * static_cast<double>(kernels::size_of(work.weight));
    double const multiplied = elements * static_cast<double>(work.rows);
    return std::max(read / rates.memory, multiplied / rates.arithmetic);
}

inline model::Machine machine_of(Rates const& rates) {
    using model::Busy;
    model::MachinePoints points;
    points.ranks = rates.ranks;
    for (auto const busy : {Busy::all, Busy::one}) {
        double const faster = busy == Busy::one ? rates.alone : 1.0;
        for (std::size_t rows = 1; rows <= 4096; rows *= 2) {
            model::GemmWork const gemm{kernels::DType::bf16, kernels::DType::f32, rows, 1024, 1024};
            points.gemms.push_back({{gemm, busy}, gemm_seconds(rates, gemm) / faster});
        }
        for (auto const phase : {model::Step::Phase::prefill, model::Step::Phase::decode}) {
            for (std::size_t const context : {16U, 1024U}) {
                for (std::size_t const rows : {1U, 1024U}) {
                    model::AttentionWork const attention{
                        phase, kernels::DType::f32, rows, context, 8, 8, 64};
                    double const products = 2.0 * static_cast<double>(rows * context * 8 * 64);
                    points.attentions.push_back(
                        {{attention, busy}, products / rates.arithmetic / faster});
                }
            }
        }
        for (std::size_t const bytes : {std::size_t{1} << 10, std::size_t{1} << 26}) {
            double const seconds = static_cast<double>(bytes) / rates.memory / faster;
            points.passes.push_back({{{bytes}, busy}, seconds});
        }
    }
    for (int kind = 1; rates.ranks > 1 && kind <= 8; ++kind) {
        auto const collective = static_cast<parallel::Collective>(kind);
        double const volume = collective == parallel::Collective::all_reduce ? 2.0 : 1.0;
        for (std::size_t bytes = 1; bytes <= std::size_t{1} << 26; bytes *= 2) {
            double const seconds = rates.latency + volume * static_cast<double>(bytes) / rates.link;
            points.collectives.push_back({{{collective, bytes}, Busy::all}, seconds});
        }
    }
    return model::Machine(std::move(points));
}

}  // namespace tesserank::test
