#pragma once

#include "kernels/error.hpp"

#include <hdf5.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tesserank::test {

/// expected.h5 of a golden case.
class ExpectedFile {
  public:
    explicit ExpectedFile(std::string const& path)
        : file_{H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT)} {
        kernels::require(file_ >= 0, "there are no expected results: " + path);
    }
    ~ExpectedFile() { H5Fclose(file_); }
    ExpectedFile(ExpectedFile const&) = delete;
    ExpectedFile& operator=(ExpectedFile const&) = delete;

    bool has(std::string const& group) const {
        return H5Lexists(file_, group.c_str(), H5P_DEFAULT) > 0;
    }

    std::vector<std::size_t> shape(std::string const& name) const {
        Dataset const dataset(file_, name);
        std::vector<hsize_t> extents(
            static_cast<std::size_t>(H5Sget_simple_extent_ndims(dataset.space)));
        H5Sget_simple_extent_dims(dataset.space, extents.data(), nullptr);
        return {extents.begin(), extents.end()};
    }

    std::vector<float> floats(std::string const& name) const {
        return read<float>(name, H5T_NATIVE_FLOAT);
    }
    std::vector<std::int32_t> integers(std::string const& name) const {
        return read<std::int32_t>(name, H5T_NATIVE_INT32);
    }
    std::vector<std::uint8_t> bytes(std::string const& name) const {
        return read<std::uint8_t>(name, H5T_NATIVE_UINT8);
    }

  private:
    struct Dataset {
        Dataset(hid_t file, std::string const& name)
            : id{H5Dopen2(file, name.c_str(), H5P_DEFAULT)}, space{H5Dget_space(id)} {}
        ~Dataset() {
            H5Sclose(space);
            H5Dclose(id);
        }
        Dataset(Dataset const&) = delete;
        Dataset& operator=(Dataset const&) = delete;
        hid_t id, space;
    };

    template <class T>
    std::vector<T> read(std::string const& name, hid_t type) const {
        Dataset const dataset(file_, name);
        std::vector<T> values(
            static_cast<std::size_t>(H5Sget_simple_extent_npoints(dataset.space)));
        bool const good =
            H5Dread(dataset.id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0;
        kernels::require(good, "an expected result cannot be read: " + name);
        return values;
    }

    hid_t file_;
};

}  // namespace tesserank::test
