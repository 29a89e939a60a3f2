#pragma once

#include "model/module_spec.hpp"
#include "tests/model/support_vision.hpp"

#include <vector>

namespace tesserank::fuzz {

/// Every kind of module: those of a small model with a vision encoder.
inline std::vector<model::ModuleSpec> const& plan_modules() {
    static auto const modules = model::describe_modules(test::vision_decoder());
    return modules;
}

}  // namespace tesserank::fuzz
