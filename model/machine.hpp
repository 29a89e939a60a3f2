#pragma once

#include "kernels/dtype.hpp"
#include "model/curve.hpp"
#include "model/step.hpp"
#include "parallel/collective.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tesserank::model {

/// Whether all ranks of the job work at the time, or one alone while the others wait (single:R).
enum class Busy : std::uint8_t { all, one };

/// y [T, N] = x [T, K] W^T on one rank, W [N, K].
struct GemmWork {
    kernels::DType weight = kernels::DType::f32, input = kernels::DType::f32;
    std::size_t rows = 0;     ///< T
    std::size_t outputs = 0;  ///< N
    std::size_t inputs = 0;   ///< K
    bool operator==(GemmWork const&) const = default;
};

/// Attention of one rank's query rows to a cache. In decode each row is of another sequence.
struct AttentionWork {
    Step::Phase phase = Step::Phase::decode;
    kernels::DType cache = kernels::DType::f32;
    std::size_t rows = 0;
    std::size_t context = 0;  ///< positions that a row sees, on average
    std::size_t query_heads = 0, kv_heads = 0, head_dim = 0;
    bool operator==(AttentionWork const&) const = default;
};

/// Elementwise work: norms, residual adds, activations.
struct PassWork {
    std::size_t bytes = 0;  ///< read and written
    bool operator==(PassWork const&) const = default;
};

/// One collective of all ranks.
struct CollectiveWork {
    parallel::Collective kind = parallel::Collective::none;
    std::size_t bytes = 0;  ///< of the whole activation, as in Exchange
    bool operator==(CollectiveWork const&) const = default;
};

template <class Work>
struct Task {
    Work work;
    Busy busy = Busy::all;
    bool operator==(Task const&) const = default;
};

/// What was measured of some work; the seconds are the slowest rank's.
template <class Work>
struct Measured {
    Task<Work> task;
    double seconds = 0;
    bool operator==(Measured const&) const = default;
};

struct MachinePoints {
    int ranks = 1;
    std::vector<Measured<GemmWork>> gemms;
    std::vector<Measured<AttentionWork>> attentions;
    std::vector<Measured<PassWork>> passes;
    std::vector<Measured<CollectiveWork>> collectives;  ///< none on one rank
    bool operator==(MachinePoints const&) const = default;
};

/// What a machine description must have points of; empty when it has them all. On several ranks
/// every collective is among them.
std::vector<std::string> missing_of(MachinePoints const& points);

/// What work costs on a machine, from measured points.
///
/// Matrices and heads of a measured shape: interpolated over rows (and context), see Curve. Other
/// shapes: by their work, from what the measured shapes take, the nearest by far the most. Where
/// nothing of these dtypes was measured, or not with as many ranks at work, what comes next stands
/// in for it: f16 for bf16, other inputs, other weights. Weights of f8e4m3 are not measured: they
/// take what bf16 ones do, less half of the time of reading those, which is that of one row.
///
/// A collective costs at most what it costs for more bytes.
///
/// No work costs nothing, nor does a collective of one rank. Seconds never fall with rows, context
/// or bytes, and are never negative.
class Machine {
  public:
    /// Errors: LogicError when something is missing_of() them.
    explicit Machine(MachinePoints points);

    int ranks() const { return points_.ranks; }
    MachinePoints const& points() const { return points_; }

    double gemm_seconds(GemmWork const& work, Busy busy) const;
    double attention_seconds(AttentionWork const& work, Busy busy) const;
    double pass_seconds(std::size_t bytes, Busy busy) const;
    double collective_seconds(parallel::Collective kind, std::size_t bytes) const;

  private:
    /// All measurements of one matrix [N, K].
    struct Matrix {
        Task<GemmWork> task;  ///< of any number of rows
        Curve by_rows;
    };
    /// All measurements of one set of heads.
    struct Heads {
        Task<AttentionWork> task;  ///< of any number of rows and any context
        std::map<std::size_t, Curve> by_rows_and_context;
        double at(std::size_t rows, std::size_t context) const;
    };

    MachinePoints points_;
    std::vector<Matrix> matrices_;
    std::vector<Heads> heads_;
    std::map<Busy, Curve> passes_;
    std::map<parallel::Collective, Curve> collectives_;
};

}  // namespace tesserank::model
