#pragma once

#include <span>
#include <string_view>

namespace tesserank::model::architectures {

/// Keys that stand in many configs and do not change what inference computes: everything else must
/// be understood. Those of generation were written into every config by older versions of
/// transformers; generation_config.json is what counts.
std::span<std::string_view const> harmless_keys();

}  // namespace tesserank::model::architectures
