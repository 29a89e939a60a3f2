#include "io/hdf5/dataset.hpp"

#include "io/hdf5/error.hpp"

#include <array>

namespace tesserank::io {

H5Plist without_times(hid_t creation_class) {
    auto creation = own_h5<H5Plist>(H5Pcreate(creation_class), "H5Pcreate");
    check_h5(H5Pset_obj_track_times(creation.get(), false), "H5Pset_obj_track_times");
    return creation;
}

namespace {

using kernels::InputError;

H5Space space_for(std::span<std::size_t const> shape) {
    if (shape.empty()) return own_h5<H5Space>(H5Screate(H5S_SCALAR), "H5Screate");
    std::vector<hsize_t> const sizes(shape.begin(), shape.end());
    return own_h5<H5Space>(H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr),
                           "H5Screate_simple");
}

/// How names are linked to what they lead to.
H5Plist link_creation() {
    auto links = own_h5<H5Plist>(H5Pcreate(H5P_LINK_CREATE), "H5Pcreate");
    check_h5(H5Pset_char_encoding(links.get(), H5T_CSET_UTF8), "H5Pset_char_encoding");
    return links;
}

/// The groups on the way to a path. HDF5 would make them by itself, but with the time of day.
void create_groups(hid_t file, std::string const& path, H5Plist const& links) {
    auto const creation = without_times(H5P_GROUP_CREATE);
    for (auto slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
        auto const group = path.substr(0, slash);
        if (check_h5(H5Lexists(file, group.c_str(), H5P_DEFAULT), group) > 0) continue;
        auto const made = own_h5<H5Object>(
            H5Gcreate2(file, group.c_str(), links.get(), creation.get(), H5P_DEFAULT), group);
    }
}

/// The address of the first byte; H5Dget_offset reports errors and missing storage alike.
haddr_t address_of(H5Dataset const& dataset) { return H5Dget_offset(dataset.get()); }

}  // namespace

H5Dataset create_dataset(hid_t file, std::string const& path, H5Type const& type,
                         std::span<std::size_t const> shape) {
    auto const links = link_creation();
    create_groups(file, path, links);
    auto const creation = without_times(H5P_DATASET_CREATE);
    check_h5(H5Pset_layout(creation.get(), H5D_CONTIGUOUS), "H5Pset_layout");
    check_h5(H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_EARLY), "H5Pset_alloc_time");
    check_h5(H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER), "H5Pset_fill_time");
    auto const space = space_for(shape);
    return own_h5<H5Dataset>(H5Dcreate2(file, path.c_str(), type.get(), space.get(), links.get(),
                                        creation.get(), H5P_DEFAULT),
                             path);
}

H5Dataset open_dataset(hid_t file, std::string const& path) {
    return own_h5<H5Dataset>(H5Dopen2(file, path.c_str(), H5P_DEFAULT), path);
}

std::vector<std::size_t> shape_of(H5Dataset const& dataset) {
    auto const space = own_h5<H5Space>(H5Dget_space(dataset.get()), "H5Dget_space");
    if (H5Sget_simple_extent_type(space.get()) == H5S_NULL) {
        throw InputError("the data set has no data space");
    }
    std::array<hsize_t, H5S_MAX_RANK> sizes{};
    auto const rank = check_h5(H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr),
                               "H5Sget_simple_extent_dims");
    return {sizes.begin(), sizes.begin() + rank};
}

H5Storage storage_of(H5Dataset const& dataset, std::size_t bytes, std::size_t file_bytes) {
    auto const creation = own_h5<H5Plist>(H5Dget_create_plist(dataset.get()), "the data set");
    if (H5Pget_layout(creation.get()) != H5D_CONTIGUOUS) {
        throw InputError("the data set is chunked, compressed or otherwise not contiguous");
    }
    if (H5Pget_external_count(creation.get()) != 0) {
        throw InputError("the data set keeps its numbers in another file");
    }
    if (bytes == 0) return {};
    auto const address = address_of(dataset);
    if (address == HADDR_UNDEF || H5Dget_storage_size(dataset.get()) < bytes) {
        H5Eclear2(H5E_DEFAULT);
        throw InputError("the data set was never written");
    }
    if (address > file_bytes || bytes > file_bytes - address) {
        throw InputError("the data set ends beyond the end of the file");
    }
    return {address, bytes};
}

H5Storage storage_of_new(H5Dataset const& dataset) {
    auto const bytes = H5Dget_storage_size(dataset.get());
    if (bytes == 0) return {};
    auto const address = address_of(dataset);
    if (address == HADDR_UNDEF) throw_h5("finding the place of a new data set");
    return {address, bytes};
}

}  // namespace tesserank::io
