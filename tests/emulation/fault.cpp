#include "tests/emulation/fault.hpp"

#include <iostream>
#include <utility>

namespace tesserank::emulation {
namespace {

std::string& text() {
    static std::string first;
    return first;
}

}  // namespace

void set_fault(std::string what) {
    if (faulted()) return;
    std::cerr << "emulated GPU: " << what << '\n';
    text() = std::move(what);
}

bool faulted() { return !text().empty(); }

std::string const& fault_text() { return text(); }

void clear_fault() { text().clear(); }

}  // namespace tesserank::emulation
