#include "io/hdf5/file.hpp"

#include "io/hdf5/dataset.hpp"
#include "io/hdf5/error.hpp"
#include "io/hdf5/start.hpp"

namespace tesserank::io {
namespace {

constexpr hsize_t aligned_from_bytes = hsize_t{64} << 10;
constexpr hsize_t alignment = 4096;

H5Plist access_without_lock() {
    auto access = own_h5<H5Plist>(H5Pcreate(H5P_FILE_ACCESS), "H5Pcreate");
    check_h5(H5Pset_file_locking(access.get(), false, true), "H5Pset_file_locking");
    check_h5(H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG), "H5Pset_fclose_degree");
    return access;
}

}  // namespace

H5File open_h5(std::string const& path) {
    start_h5();
    auto const access = access_without_lock();
    return own_h5<H5File>(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), path);
}

H5File create_h5(std::string const& path) {
    start_h5();
    auto const access = access_without_lock();
    check_h5(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_LATEST),
             "H5Pset_libver_bounds");
    check_h5(H5Pset_alignment(access.get(), aligned_from_bytes, alignment), "H5Pset_alignment");
    auto const creation = without_times(H5P_FILE_CREATE);
    return own_h5<H5File>(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()),
                          path);
}

void close_h5(H5File file) {
    check_h5(H5Fflush(file.get(), H5F_SCOPE_GLOBAL), "writing the file's index");
    check_h5(H5Fclose(file.release()), "closing the file");
}

}  // namespace tesserank::io
