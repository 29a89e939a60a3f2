#pragma once

namespace tesserank::io {

/// Prepares HDF5: its errors travel in exceptions and are not printed, and it does not clean up at
/// the end of the process. That clean-up crashes (1.10.8) after a file could not be closed because
/// the disk was full; files are closed by their owners anyway. A parallel HDF5 would also clean up
/// in MPI_Finalize: to prevent that, call this before MPI starts. Otherwise the first file that is
/// opened does it. More calls do nothing.
void start_h5();

}  // namespace tesserank::io
