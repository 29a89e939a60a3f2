#pragma once

#include "io/hdf5/handle.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace tesserank::io {

/// Where a data set's bytes lie in its file.
struct H5Storage {
    std::size_t offset = 0;  ///< of no meaning when bytes is 0
    std::size_t bytes = 0;
};

/// For creating groups, data sets or a file that do not hold the time of day: the same content is
/// the same bytes. Errors: H5Error.
H5Plist without_times(hid_t creation_class);

/// Creates a contiguous data set whose place in the file is fixed at once; nothing is written to
/// it: the caller puts its bytes there. Groups on the way are created. An empty shape is a scalar.
/// Errors: H5Error.
H5Dataset create_dataset(hid_t file, std::string const& path, H5Type const& type,
                         std::span<std::size_t const> shape);

/// A data set that create_dataset() made. Errors: H5Error.
H5Dataset open_dataset(hid_t file, std::string const& path);

/// Dimensions; empty for a scalar. Errors: InputError for a null data space.
std::vector<std::size_t> shape_of(H5Dataset const& dataset);

/// Errors: InputError when the data set is not one contiguous run of `bytes` bytes inside a file of
/// `file_bytes` bytes: chunked, compressed, compact, virtual, external or never written.
H5Storage storage_of(H5Dataset const& dataset, std::size_t bytes, std::size_t file_bytes);

/// Where a data set that create_dataset() made lies.
H5Storage storage_of_new(H5Dataset const& dataset);

}  // namespace tesserank::io
