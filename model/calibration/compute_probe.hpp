#pragma once

#include "model/calibration/probe.hpp"

#include <cstddef>
#include <vector>

namespace tesserank::model::calibration {

/// Work of a backend on a number of rows. What would take too long is measured with fewer rows.
class ComputeProbe : public Probe {
  public:
    ComputeProbe(Busy busy, std::size_t rows) : busy_{busy}, rows_{rows} {}

    void measure(Bench& bench, double limit_seconds) final;

  protected:
    /// Gets ready for run() with so many rows.
    virtual void prepare(Bench& bench, std::size_t rows) = 0;
    virtual void run(Bench& bench) = 0;

    bool measured() const { return !samples_.empty(); }
    /// Of the last prepare().
    double seconds() const { return undisturbed(samples_); }

  private:
    void choose_size(Bench& bench, double limit_seconds);
    double time(Bench& bench);

    Busy busy_;
    std::size_t rows_;
    std::size_t runs_ = 1;  ///< in one sample
    std::vector<double> samples_;
};

}  // namespace tesserank::model::calibration
