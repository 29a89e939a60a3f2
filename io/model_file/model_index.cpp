#include "io/model_file/model_index.hpp"

#include "io/model_file/format.hpp"
#include "io/model_file/set_index.hpp"
#include "kernels/error.hpp"

#include <algorithm>
#include <limits>

namespace tesserank::io {

std::size_t StoredTensor::rows() const { return model::matrix_of(shape).rows; }

std::size_t StoredTensor::cols() const { return model::matrix_of(shape).cols; }

std::string const* ModelIndex::find_document(std::string_view name) const {
    auto const found = documents.find(name);
    return found == documents.end() ? nullptr : &found->second;
}

std::vector<StoredTensor> const& ModelIndex::all_tensors() const {
    return set ? set->tensors : tensors;
}

std::size_t bytes_of_shape(std::vector<std::size_t> const& shape, kernels::DType dtype) {
    if (std::ranges::find(shape, std::size_t{0}) != shape.end()) return 0;
    constexpr auto most = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
    std::size_t bytes = kernels::size_of(dtype);
    for (auto const size : shape) {
        if (size > most / bytes) throw kernels::InputError("the shape's bytes do not fit 63 bits");
        bytes *= size;
    }
    return bytes;
}

std::size_t block_bytes_for(std::vector<std::size_t> const& shape, kernels::DType dtype) {
    auto const bytes = bytes_of_shape(shape, dtype);
    auto const rows = model::matrix_of(shape).rows;
    if (bytes == 0 || bytes / rows > most_block_bytes) return most_block_bytes;
    auto const row_bytes = bytes / rows;
    return most_block_bytes / row_bytes * row_bytes;
}

}  // namespace tesserank::io
