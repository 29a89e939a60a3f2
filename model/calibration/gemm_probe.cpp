#include "model/calibration/compute_probe.hpp"

#include <algorithm>

namespace tesserank::model::calibration {
namespace {

class GemmProbe final : public ComputeProbe {
  public:
    explicit GemmProbe(Task<GemmWork> const& task)
        : ComputeProbe(task.busy, task.work.rows), task_{task} {}

    void add_to(MachinePoints& points) const override {
        if (!measured()) return;
        auto const part = static_cast<double>(task_.work.outputs) / static_cast<double>(outputs_);
        points.gemms.push_back({task_, seconds() * part});
    }

  private:
    void prepare(Bench& bench, std::size_t rows) override {
        auto& work = task_.work;
        work.rows = rows;
        std::size_t const row_bytes = work.inputs * kernels::size_of(work.weight);
        // Half of it, so that two matrices in turn push each other out of the caches.
        outputs_ = std::clamp<std::size_t>(bench.cold_bytes() / 2 / row_bytes, 1, work.outputs);
        x_ = bench.warm(0, work.input, rows, work.inputs);
        y_ = bench.warm(1, kernels::DType::f32, rows, outputs_);
    }

    void run(Bench& bench) override {
        bench.backend().gemm(x_, bench.cold(task_.work.weight, outputs_, task_.work.inputs), {},
                             y_);
    }

    Task<GemmWork> task_;
    std::size_t outputs_ = 0;  ///< of as much of the matrix as there is cold memory for
    kernels::TensorView x_, y_;
};

}  // namespace

std::unique_ptr<Probe> make_gemm_probe(Task<GemmWork> const& task) {
    return std::make_unique<GemmProbe>(task);
}

}  // namespace tesserank::model::calibration
