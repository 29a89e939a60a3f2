#pragma once

#include "io/model_file/format.hpp"
#include "io/model_file/model_index.hpp"
#include "io/model_file/tensor_writer.hpp"
#include "io/model_file/writer.hpp"

#include <gtest/gtest.h>
#include <hdf5.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace tesserank::io {

/// Bytes that differ from seed to seed and from place to place, blocks included.
inline std::vector<std::byte> pattern(std::size_t bytes, int seed) {
    std::vector<std::byte> result(bytes);
    for (std::size_t i = 0; i < bytes; ++i) {
        auto const mixed = (i + static_cast<std::size_t>(seed) * 7919) * 2654435761U;
        result[i] = static_cast<std::byte>(mixed >> 13 & 0xFF);
    }
    return result;
}

inline void write_tensor(ModelFileWriter& writer, std::string const& name, kernels::DType dtype,
                         std::vector<std::size_t> const& shape, int seed) {
    auto const places = writer.add_tensor(name, dtype, shape);
    TensorWriter out(writer.files());
    out.begin(places, dtype);
    out.append(pattern(bytes_of_shape(shape, dtype), seed));
    writer.set_checksums(name, places, out.end());
}

/// Tensors "t0" to "t3" of seeds 0 to 3. Returns the path.
inline std::string write_small_model(std::string const& path) {
    ModelFileWriter writer(path);
    writer.add_document("config", "{}");
    write_tensor(writer, "t0", kernels::DType::f32, {30, 7}, 0);
    write_tensor(writer, "t1", kernels::DType::bf16, {300, 300}, 1);
    write_tensor(writer, "t2", kernels::DType::bf16, {11}, 2);
    write_tensor(writer, "t3", kernels::DType::f16, {200, 400}, 3);
    writer.commit({{"source", "0"}});
    return path;
}

inline StoredTensor const& find(ModelIndex const& index, std::string const& name) {
    for (auto const& tensor : index.tensors) {
        if (tensor.name == name) return tensor;
    }
    throw std::runtime_error("no tensor " + name);
}

/// Files that the writer would not make are made by HDF5's own calls. Failing calls end the test.
inline hid_t checked(hid_t id) {
    if (id < 0) throw std::runtime_error("HDF5 failed");
    return id;
}

inline void add_numbers(hid_t object, char const* name, std::vector<std::uint64_t> const& numbers,
                        hid_t type = H5T_STD_U64LE) {
    hsize_t const count = numbers.size();
    auto const space = checked(H5Screate_simple(1, &count, nullptr));
    auto const attribute = checked(H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT));
    if (count > 0) checked(H5Awrite(attribute, H5T_NATIVE_UINT64, numbers.data()));
    H5Aclose(attribute);
    H5Sclose(space);
}

inline void add_text(hid_t object, char const* name, std::string const& text) {
    auto const type = checked(H5Tcopy(H5T_C_S1));
    checked(H5Tset_size(type, text.size()));
    auto const space = checked(H5Screate(H5S_SCALAR));
    auto const attribute = checked(H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT));
    checked(H5Awrite(attribute, type, text.data()));
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

/// A data set with early allocation, below /weights unless `name` begins with a slash; open.
inline hid_t add_raw_dataset(hid_t file, std::string const& name, hid_t type,
                             std::vector<hsize_t> const& shape, hid_t creation = H5P_DEFAULT) {
    auto const own = checked(H5Pcreate(H5P_DATASET_CREATE));
    H5Pset_alloc_time(own, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(own, H5D_FILL_TIME_NEVER);
    auto const space =
        checked(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr));
    auto const dataset =
        checked(H5Dcreate2(file, (name[0] == '/' ? name : "weights/" + name).c_str(), type, space,
                           H5P_DEFAULT, creation == H5P_DEFAULT ? own : creation, H5P_DEFAULT));
    H5Sclose(space);
    H5Pclose(own);
    return dataset;
}

inline void add_raw_tensor(hid_t file, std::string const& name, hid_t type,
                           std::vector<hsize_t> const& shape,
                           std::vector<std::uint64_t> const& checksums) {
    auto const dataset = add_raw_dataset(file, name, type, shape);
    add_numbers(dataset, "block_bytes", {most_block_bytes});
    add_numbers(dataset, "checksum", checksums);
    H5Dclose(dataset);
}

/// A model file that is right but for what `spoil` does to it: one tensor "good", a config.
inline void write_raw_model(std::string const& path, std::function<void(hid_t)> const& spoil) {
    {
        ModelFileWriter writer(path);
        writer.add_document("config", "{}");
        write_tensor(writer, "good", kernels::DType::f32, {2, 2}, 0);
        writer.commit({});
    }
    auto const access = checked(H5Pcreate(H5P_FILE_ACCESS));
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
    auto const file = checked(H5Fopen(path.c_str(), H5F_ACC_RDWR, access));
    spoil(file);
    H5Pclose(access);
    H5Fclose(file);
}

}  // namespace tesserank::io
