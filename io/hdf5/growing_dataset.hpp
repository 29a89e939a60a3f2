#pragma once

#include "io/hdf5/handle.hpp"

#include <cstddef>
#include <span>
#include <string>

namespace tesserank::io {

/// A [rows, columns] f32 data set whose rows come one by one, in chunks of about 256 KiB. HDF5
/// holds one chunk of at most 1 MiB in memory while it is open.
class GrowingDataset {
  public:
    /// Creates it empty at `path`, with the groups on the way. Errors of all: H5Error.
    GrowingDataset(hid_t file, std::string path, std::size_t columns);

    /// Whole rows: rows.size() is a multiple of the columns.
    void append(std::span<float const> rows);
    /// Closes; unlike the destructor it reports a full disk.
    void close();

  private:
    std::string path_;
    std::size_t columns_, rows_ = 0;
    H5Dataset dataset_;
};

}  // namespace tesserank::io
