#pragma once

#include "model/calibration_shapes.hpp"
#include "model/machine.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace tesserank::app {

/// A machine for predictions, and for people where its figures are from.
struct KnownMachine {
    model::Machine machine;
    std::string note;
    std::string backend{};  ///< that was measured; empty: none
};

/// The machine in a file of `calibrate`. Errors: InputError, also when it is for another number of
/// ranks, or another backend than one that is asked for.
KnownMachine machine_from_file(std::string const& path, int ranks, std::string_view backend);

/// Planning without the ranks: this process's own figures, measured in two seconds with the shapes
/// of this model, and assumed links.
KnownMachine measured_here(model::ModelRun const& run, std::string_view backend);

/// Rates of no machine in particular: enough to see what roughly limits a plan.
KnownMachine assumed_machine(int ranks);

}  // namespace tesserank::app
