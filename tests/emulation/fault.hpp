#pragma once

#include <stdexcept>
#include <string>

namespace tesserank::emulation {

/// A mistake that a device thread makes; thrown in its fiber.
class Fault : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// What went wrong on the device first. As on a GPU, every call fails from then on; unlike there, a
/// test may clear it and go on.
void set_fault(std::string text);
bool faulted();
std::string const& fault_text();
void clear_fault();

}  // namespace tesserank::emulation
