#pragma once

#include <string>

namespace tesserank::app {

/// The version of this program, and the id that the linker gave to its code: "0.1.0 (build
/// 5f0c...)".
std::string program_id();

/// Ranks of different programs would call different collectives and wait for each other in vain.
/// Collective over all ranks; the first thing that they do.  Errors: InputError, the same on every
/// rank, naming a rank that runs another program than rank 0.
void check_same_program();

}  // namespace tesserank::app
