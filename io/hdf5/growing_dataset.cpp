#include "io/hdf5/growing_dataset.hpp"

#include "io/hdf5/error.hpp"
#include "io/hdf5/type.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace tesserank::io {
namespace {

using Extent = std::array<hsize_t, 2>;

H5Dataset create(hid_t file, std::string const& path, std::size_t columns) {
    // Small enough that a sequence of a few tokens wastes little, large enough for few chunks.
    std::size_t constexpr chunk_bytes = std::size_t{256} << 10;
    auto const chunk_rows = std::max<std::size_t>(1, chunk_bytes / (columns * sizeof(float)));

    Extent const none{0, columns}, most{H5S_UNLIMITED, columns}, chunk{chunk_rows, columns};
    auto const space = own_h5<H5Space>(H5Screate_simple(2, none.data(), most.data()), path);
    auto const layout = own_h5<H5Plist>(H5Pcreate(H5P_DATASET_CREATE), path);
    check_h5(H5Pset_chunk(layout.get(), 2, chunk.data()), path);
    auto const links = own_h5<H5Plist>(H5Pcreate(H5P_LINK_CREATE), path);
    check_h5(H5Pset_create_intermediate_group(links.get(), 1), path);
    check_h5(H5Pset_char_encoding(links.get(), H5T_CSET_UTF8), path);
    auto const type = h5_type_of(kernels::DType::f32);
    return own_h5<H5Dataset>(H5Dcreate2(file, path.c_str(), type.get(), space.get(), links.get(),
                                        layout.get(), H5P_DEFAULT),
                             path);
}

}  // namespace

GrowingDataset::GrowingDataset(hid_t file, std::string path, std::size_t columns)
    : path_(std::move(path)), columns_(columns), dataset_(create(file, path_, columns)) {}

void GrowingDataset::append(std::span<float const> rows) {
    kernels::require(rows.size() % columns_ == 0, "a part of a row of " + path_);
    Extent const count{rows.size() / columns_, columns_}, begin{rows_, 0};
    if (count[0] == 0) return;
    Extent const size{rows_ + count[0], columns_};
    check_h5(H5Dset_extent(dataset_.get(), size.data()), path_);
    auto const memory = own_h5<H5Space>(H5Screate_simple(2, count.data(), nullptr), path_);
    auto const file = own_h5<H5Space>(H5Dget_space(dataset_.get()), path_);
    check_h5(H5Sselect_hyperslab(file.get(), H5S_SELECT_SET, begin.data(), nullptr, count.data(),
                                 nullptr),
             path_);
    check_h5(H5Dwrite(dataset_.get(), H5T_NATIVE_FLOAT, memory.get(), file.get(), H5P_DEFAULT,
                      rows.data()),
             path_);
    rows_ = size[0];
}

void GrowingDataset::close() { check_h5(H5Dclose(dataset_.release()), path_); }

}  // namespace tesserank::io
