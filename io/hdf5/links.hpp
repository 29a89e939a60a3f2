#pragma once

#include "io/hdf5/handle.hpp"

#include <functional>
#include <string>

namespace tesserank::io {

/// Opens the object that a hard link of `group` leads to. Errors: InputError for a soft, external
/// or user-defined link: a model file is self-contained. H5Error.
H5Object open_link(hid_t group, std::string const& name);

/// Calls visit(path, data set) for every data set below `group`, with paths relative to it, in the
/// order of names. Errors: InputError for anything that is not a group or a data set, for links
/// that are not hard, for an object that is linked twice (a loop would never end), and beyond
/// `most_levels` levels.
void visit_datasets(hid_t group, std::size_t most_levels,
                    std::function<void(std::string const&, H5Dataset const&)> const& visit);

}  // namespace tesserank::io
