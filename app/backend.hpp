#pragma once

#include "kernels/backend.hpp"

#include <memory>
#include <string_view>

namespace tesserank::app {

/// What --backend names, "auto" the best of this build. Errors: UsageError for another word.
std::unique_ptr<kernels::Backend> make_backend(std::string_view name);

}  // namespace tesserank::app
