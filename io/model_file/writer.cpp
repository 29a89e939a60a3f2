#include "io/model_file/writer.hpp"

#include "io/hdf5/attribute.hpp"
#include "io/hdf5/dataset.hpp"
#include "io/hdf5/error.hpp"
#include "io/hdf5/file.hpp"
#include "io/hdf5/type.hpp"
#include "io/model_file/checksum.hpp"
#include "io/model_file/format.hpp"
#include "io/model_file/locked_file.hpp"
#include "io/model_file/tensor_name.hpp"

#include <array>
#include <optional>
#include <utility>
#include <vector>

namespace tesserank::io {
namespace {

using kernels::require;

void write_part(hid_t root, SetPart const& part) {
    write_text_attribute(root, "set_part", part.name);
    write_text_attribute(root, "set_model_sha256", part.model_sha256);
    write_text_attribute(root, "set_plan_sha256", part.plan_sha256);
    write_number_attribute(root, "set_ranks", static_cast<std::uint64_t>(part.ranks));
}

}  // namespace

/// HDF5 lays the file out and writes its index; the numbers go past it, straight to their place.
struct ModelFileWriter::State {
    explicit State(std::string const& path) : file(path), h5(create_h5(file.name().partial())) {}

    /// The tensor that is being written.
    struct Open {
        H5Dataset dataset;
        std::string name;
        std::size_t offset, missing;
        BlockChecksums checksums;
    };

    LockedFile file;
    H5File h5;
    std::optional<Open> open;
    std::optional<SetPart> part;
};

ModelFileWriter::ModelFileWriter(std::string const& path) : state_{std::make_unique<State>(path)} {}
ModelFileWriter::~ModelFileWriter() = default;
ModelFileWriter::ModelFileWriter(ModelFileWriter&&) noexcept = default;

void ModelFileWriter::add_document(std::string_view name, std::string_view text) {
    require(!text.empty(), "an empty document cannot be stored");
    auto const bytes = std::as_bytes(std::span(text));
    auto const dataset =
        create_dataset(state_->h5.get(), std::string(name), h5_text_type(text.size()), {});
    std::array const checksums{checksum_of(bytes)};
    write_numbers_attribute(dataset.get(), "checksum", checksums);
    state_->file.write(storage_of_new(dataset).offset, bytes);
}

void ModelFileWriter::begin_tensor(std::string const& name, kernels::DType dtype,
                                   std::vector<std::size_t> const& shape) {
    require(!state_->open, "a tensor is still being written");
    auto const path = std::string(weights_group) + "/" + path_of_tensor(name);
    auto const block_bytes = block_bytes_for(shape, dtype);
    auto dataset = create_dataset(state_->h5.get(), path, h5_type_of(dtype), shape);
    auto const storage = storage_of_new(dataset);
    require(storage.bytes == bytes_of_shape(shape, dtype), "HDF5 reserved another size");
    write_number_attribute(dataset.get(), "block_bytes", block_bytes);
    state_->open.emplace(State::Open{std::move(dataset), name, storage.offset, storage.bytes,
                                     BlockChecksums(block_bytes)});
}

void ModelFileWriter::begin_piece(std::string const& name, kernels::DType dtype,
                                  std::span<model::Region const> regions) {
    std::size_t rows = 0;
    std::vector<std::uint64_t> numbers;
    for (auto const& [row_range, cols] : regions) {
        rows += row_range.count;
        for (auto const number : {row_range.begin, row_range.count, cols.begin, cols.count}) {
            numbers.push_back(number);
        }
    }
    begin_tensor(name, dtype, {rows, regions.front().cols.count});
    write_numbers_attribute(state_->open->dataset.get(), "region", numbers);
}

void ModelFileWriter::append(std::span<std::byte const> bytes) {
    auto& open = *state_->open;
    require(bytes.size() <= open.missing, "more bytes than the tensor has");
    state_->file.write(open.offset, bytes);
    open.checksums.append(bytes);
    open.offset += bytes.size();
    open.missing -= bytes.size();
}

void ModelFileWriter::end_tensor() {
    auto& open = *state_->open;
    require(open.missing == 0, "the tensor is not complete");
    write_numbers_attribute(open.dataset.get(), "checksum", open.checksums.finish());
    state_->open.reset();
}

void ModelFileWriter::mark_part(SetPart part) { state_->part = std::move(part); }

void ModelFileWriter::commit(std::vector<SourceFile> const& sources, Existing existing) {
    require(!state_->open, "a tensor is still being written");
    auto const root = state_->h5.get();
    std::vector<std::string> names;
    std::vector<std::string> hashes;
    for (auto const& source : sources) {
        names.push_back(source.name);
        hashes.push_back(source.sha256);
    }
    auto const& part = state_->part;
    write_text_attribute(root, "format", std::string(part ? part_format : model_format));
    if (part) write_part(root, *part);
    write_number_attribute(root, "format_version", model_format_version);
    write_text_attribute(root, "created_by", "tesserank " TESSERANK_VERSION);
    write_texts_attribute(root, "source_files", names);
    write_texts_attribute(root, "source_sha256", hashes);
    close_h5(std::move(state_->h5));
    state_->file.commit(existing);
}

}  // namespace tesserank::io
