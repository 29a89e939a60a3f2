#include "io/model_file/tensor_writer.hpp"

#include "io/model_file/region.hpp"
#include "kernels/error.hpp"

namespace tesserank::io {

using kernels::require;

void TensorWriter::begin(std::span<Place const> places, kernels::DType dtype,
                         model::HeldTensor const* cut) {
    require(parts_.empty(), "a tensor is still being written");
    for (auto const& place : places)
        parts_.push_back({place, 0, BlockChecksums(place.block_bytes)});
    dtype_ = dtype;
    cut_ = cut;
    elements_ = 0;
}

/// What of the tensor's next bytes goes to a place.
std::span<std::byte const> TensorWriter::part_of(Part const& part,
                                                 std::span<std::byte const> bytes) {
    if (cut_ == nullptr) return bytes;
    auto const size = kernels::size_of(dtype_);
    ElementRun const run{elements_, bytes.size() / size};
    piece_.clear();
    // Regions of the same columns by rising row: their elements come in the order of the file.
    for (auto const& region : cut_->regions[part.place.file - 1]) {
        visit_runs(region, cut_->cols, run, [&](ElementRun wanted) {
            auto const from = bytes.subspan((wanted.first - run.first) * size, wanted.count * size);
            piece_.insert(piece_.end(), from.begin(), from.end());
        });
    }
    return piece_;
}

void TensorWriter::append(std::span<std::byte const> bytes) {
    for (auto& part : parts_) {
        auto const source = part_of(part, bytes);
        require(source.size() <= part.place.bytes - part.done, "more bytes than the tensor has");
        files_[part.place.file].write(part.place.offset + part.done, source);
        part.checksums.append(source);
        part.done += source.size();
    }
    elements_ += bytes.size() / kernels::size_of(dtype_);
}

std::vector<std::uint64_t> TensorWriter::end() {
    std::vector<std::uint64_t> checksums;
    for (auto& part : parts_) {
        require(part.done == part.place.bytes, "the tensor is not complete");
        auto const own = part.checksums.finish();
        checksums.insert(checksums.end(), own.begin(), own.end());
    }
    parts_.clear();
    return checksums;
}

}  // namespace tesserank::io
