#pragma once

#include "model/machine.hpp"

namespace tesserank::model {

/// A few rates from which all of a machine's figures can follow. The defaults are those of no
/// machine in particular: a server's CPU with a rank on each of its cores.
struct MachineRates {
    int ranks = 2;
    double memory = 10e9;       ///< bytes that each rank reads in a second
    double arithmetic = 100e9;  ///< multiplications and additions of each rank in a second
    double latency = 10e-6;     ///< seconds that a collective takes at least
    double link = 4e9;          ///< bytes of an activation in a second; half for an all-reduce
    double alone = 1.0;         ///< how much faster a rank is while the others wait
};

/// The machine that has these rates: to plan for one that was not measured.
Machine rated_machine(MachineRates const& rates);

}  // namespace tesserank::model
