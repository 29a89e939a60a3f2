#pragma once

#include <string>
#include <string_view>

namespace tesserank::io {

/// Tensor names of checkpoints are paths in model files, `.` turned into `/` and back:
/// model.norm.weight is /weights/model/norm/weight.
///
/// Errors: InputError for a name that would not come back as it was: with a slash, an empty part,
/// a control character, more than 1024 bytes, or too many parts.
std::string path_of_tensor(std::string_view name);
std::string tensor_of_path(std::string_view path);

/// Levels of groups that a tensor may lie below /weights.
inline constexpr std::size_t most_name_parts = 32;

}  // namespace tesserank::io
