#pragma once

#include "model/machine.hpp"

#include <ostream>

namespace tesserank::app {

/// A machine for people: GEMM rates by rows, attention, passes, and what each collective takes.
/// GB = 1e9 bytes; rates are of one rank while all work.
void print_machine(std::ostream& out, model::Machine const& machine);

}  // namespace tesserank::app
