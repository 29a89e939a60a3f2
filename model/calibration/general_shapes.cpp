#include "model/calibration_shapes.hpp"

#include <array>

namespace tesserank::model {
namespace {

using kernels::DType;
using Phase = Step::Phase;

constexpr std::array both{Busy::all, Busy::one};
constexpr std::array dtypes{DType::f32, DType::bf16};

struct Matrix {
    std::size_t outputs, inputs;
};
constexpr std::array matrices{Matrix{512, 512}, Matrix{2048, 2048}, Matrix{8192, 2048},
                              Matrix{2048, 8192}};

/// Backends tend to change their kernel behind 16 rows.
constexpr std::array<std::size_t, 7> gemm_rows{1, 4, 8, 16, 17, 64, 256};

/// For one rank at work: what it has more of memory and clock depends little on the rows.
constexpr std::array<std::size_t, 3> rows_alone{1, 16, 128};

struct Heads {
    std::size_t query, kv, dim;
};
constexpr std::array heads_sizes{Heads{16, 16, 64}, Heads{16, 4, 128}};
constexpr std::array<std::size_t, 2> contexts{64, 1024};
constexpr std::array<std::size_t, 2> decode_rows{1, 16};
constexpr std::array<std::size_t, 2> prefill_rows{16, 128};

constexpr std::array<std::size_t, 9> message_bytes{4,       1 << 10, 1 << 12, 1 << 14, 1 << 16,
                                                   1 << 18, 1 << 20, 1 << 22, 1 << 24};

void add_gemms(CalibrationRequest& request, DType weight, DType input) {
    for (auto const& [outputs, inputs] : matrices) {
        for (auto const rows : gemm_rows) {
            request.gemms.push_back({{weight, input, rows, outputs, inputs}, Busy::all});
        }
        for (auto const rows : rows_alone) {
            request.gemms.push_back({{weight, input, rows, outputs, inputs}, Busy::one});
        }
    }
}

void add_attentions(CalibrationRequest& request, AttentionWork work) {
    for (auto const rows : work.phase == Phase::decode ? decode_rows : prefill_rows) {
        for (auto const context : contexts) {
            work.rows = rows;
            work.context = context;
            for (auto const busy : both) request.attentions.push_back({work, busy});
        }
    }
}

}  // namespace

std::vector<Task<PassWork>> pass_sizes() {
    std::vector<Task<PassWork>> passes;
    for (auto const busy : both) {
        for (unsigned const bits : {14U, 17U, 20U, 24U}) {
            passes.push_back({{std::size_t{1} << bits}, busy});
        }
    }
    return passes;
}

CalibrationRequest general_calibration(double seconds) {
    CalibrationRequest request;
    request.seconds = seconds;
    request.passes = pass_sizes();
    for (auto const one : dtypes) {
        for (auto const other : dtypes) add_gemms(request, one, other);
        for (auto const& [query, kv, dim] : heads_sizes) {
            for (auto const phase : {Phase::prefill, Phase::decode}) {
                add_attentions(request, {phase, one, 0, 0, query, kv, dim});
            }
        }
    }
    request.message_bytes.assign(message_bytes.begin(), message_bytes.end());
    return request;
}

}  // namespace tesserank::model
