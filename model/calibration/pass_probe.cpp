#include "model/calibration/compute_probe.hpp"

#include <algorithm>

namespace tesserank::model::calibration {
namespace {

/// What an add with a norm and a gated activation read and write of each element.
constexpr std::size_t bytes_per_element = (4 + 3) * sizeof(float);

constexpr std::size_t most_columns = 1024;

constexpr float norm_eps = 1e-6F;

/// The mean of the operations between GEMMs.
class PassProbe final : public ComputeProbe {
  public:
    explicit PassProbe(Task<PassWork> const& task)
        : ComputeProbe(task.busy, rows_of(task.work)),
          task_{task},
          columns_{columns_of(task.work)} {}

    void add_to(MachinePoints& points) const override {
        if (measured()) points.passes.push_back({task_, seconds()});
    }

  private:
    static std::size_t columns_of(PassWork const& work) {
        return std::clamp<std::size_t>(work.bytes / bytes_per_element, 1, most_columns);
    }
    static std::size_t rows_of(PassWork const& work) {
        return std::max<std::size_t>(1, work.bytes / bytes_per_element / columns_of(work));
    }

    void prepare(Bench& bench, std::size_t rows) override {
        task_.work.bytes = rows * columns_ * bytes_per_element;
        constexpr auto f32 = kernels::DType::f32;
        residual_ = bench.warm(0, f32, rows, columns_);
        delta_ = bench.warm(1, f32, rows, columns_);
        result_ = bench.warm(2, f32, rows, columns_);
        weight_ = bench.warm(3, f32, 1, columns_);
    }

    void run(Bench& bench) override {
        bench.backend().add_rms_norm(residual_, delta_, weight_, norm_eps, result_);
        bench.backend().gated_activation(kernels::Activation::silu, delta_, residual_, result_);
    }

    Task<PassWork> task_;
    std::size_t columns_;
    kernels::TensorView residual_, delta_, result_, weight_;
};

}  // namespace

std::unique_ptr<Probe> make_pass_probe(Task<PassWork> const& task) {
    return std::make_unique<PassProbe>(task);
}

}  // namespace tesserank::model::calibration
