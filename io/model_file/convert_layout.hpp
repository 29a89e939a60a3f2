#pragma once

#include "io/model_file/file_system.hpp"
#include "io/model_file/locked_file.hpp"
#include "io/model_file/model_writer.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace tesserank::io {

/// Where rank 0 has reserved place for everything, as it tells the others.
struct ConvertLayout {
    Writing writing = Writing::all_nodes;
    std::vector<FileIdentity> files;
    std::vector<std::vector<Place>> places;  ///< by tensor, in the order of the source
};

/// As bytes in a text, and back.
std::string packed(ConvertLayout const& layout);
ConvertLayout unpacked_layout(std::string const& text);

}  // namespace tesserank::io
