#pragma once

#include "io/hdf5/handle.hpp"

#include <string>

namespace tesserank::io {

/// Opens an existing HDF5 file. No lock is taken: parallel file systems often have none.
/// Errors: H5Error.
H5File open_h5(std::string const& path);

/// Creates an HDF5 file, or empties the one that is there. Objects from 64 KiB up begin at a
/// multiple of 4096 bytes, so that they suit direct and memory-mapped reads. Metadata carries
/// HDF5's own checksums (format 1.8 or later). No lock is taken: the caller has one.
/// Errors: H5Error.
H5File create_h5(std::string const& path);

/// Writes out all and closes; unlike the destructor it reports a full disk. After an error the
/// content of the file is undefined. Errors: H5Error.
void close_h5(H5File file);

}  // namespace tesserank::io
