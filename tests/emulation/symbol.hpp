#pragma once

#include <string>

namespace tesserank::emulation {

/// The name of a function of this program, from its symbol table; its address where that is
/// stripped.
std::string symbol_of(void const* function);

}  // namespace tesserank::emulation
