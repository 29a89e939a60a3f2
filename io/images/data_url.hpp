#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace tesserank::io {

/// Whether a picture is given as "data:..." rather than as a path.
bool is_data_url(std::string_view text);

/// The bytes of "data:image/png;base64,iVBO...". Errors: InputError for another type than those
/// that are read, another encoding than base64, or data that is not base64, naming the first wrong
/// byte.  Source: RFC 2397, RFC 4648
std::vector<std::byte> decode_data_url(std::string_view url);

}  // namespace tesserank::io
