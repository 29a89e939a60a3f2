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

std::string dataset_path(std::string const& name) {
    return std::string(weights_group) + "/" + path_of_tensor(name);
}

}  // namespace

/// HDF5 lays the file out and writes its index; the numbers go past it, straight to their place.
struct ModelFileWriter::State {
    explicit State(std::string const& path) : file(path), h5(create_h5(file.name().partial())) {}

    Place add(std::string const& name, kernels::DType dtype, std::vector<std::size_t> const& shape,
              std::span<std::uint64_t const> region);

    LockedFile file;
    H5File h5;
    std::size_t missing_checksums = 0;  ///< tensors that have none yet
    std::optional<SetPart> part;
};

/// The checksums are zeros until they are known: the file's layout is settled here.
Place ModelFileWriter::State::add(std::string const& name, kernels::DType dtype,
                                  std::vector<std::size_t> const& shape,
                                  std::span<std::uint64_t const> region) {
    auto const dataset = create_dataset(h5.get(), dataset_path(name), h5_type_of(dtype), shape);
    auto const storage = storage_of_new(dataset);
    require(storage.bytes == bytes_of_shape(shape, dtype), "HDF5 reserved another size");
    Place const place{0, storage.offset, storage.bytes, block_bytes_for(shape, dtype)};
    write_number_attribute(dataset.get(), "block_bytes", place.block_bytes);
    if (!region.empty()) write_numbers_attribute(dataset.get(), "region", region);
    write_numbers_attribute(dataset.get(), "checksum", std::vector<std::uint64_t>(place.blocks()));
    ++missing_checksums;
    return place;
}

ModelFileWriter::ModelFileWriter(std::string const& path) : state_{std::make_unique<State>(path)} {}
ModelFileWriter::~ModelFileWriter() = default;
ModelFileWriter::ModelFileWriter(ModelFileWriter&&) noexcept = default;

std::vector<WritableFile> ModelFileWriter::files() const { return {state_->file.file()}; }

void ModelFileWriter::add_document(std::string_view name, std::string_view text) {
    require(!text.empty(), "an empty document cannot be stored");
    auto const bytes = std::as_bytes(std::span(text));
    auto const dataset =
        create_dataset(state_->h5.get(), std::string(name), h5_text_type(text.size()), {});
    std::array const checksums{checksum_of(bytes)};
    write_numbers_attribute(dataset.get(), "checksum", checksums);
    state_->file.file().write(storage_of_new(dataset).offset, bytes);
}

std::vector<Place> ModelFileWriter::add_tensor(std::string const& name, kernels::DType dtype,
                                               std::vector<std::size_t> const& shape) {
    return {state_->add(name, dtype, shape, {})};
}

Place ModelFileWriter::add_piece(std::string const& name, kernels::DType dtype,
                                 std::span<model::Region const> regions) {
    std::size_t rows = 0;
    std::vector<std::uint64_t> numbers;
    for (auto const& [row_range, cols] : regions) {
        rows += row_range.count;
        for (auto const number : {row_range.begin, row_range.count, cols.begin, cols.count}) {
            numbers.push_back(number);
        }
    }
    return state_->add(name, dtype, {rows, regions.front().cols.count}, numbers);
}

void ModelFileWriter::set_checksums(std::string const& name, std::span<Place const> places,
                                    std::span<std::uint64_t const> checksums) {
    require(places.size() == 1 && places.front().blocks() == checksums.size(),
            "another number of checksums than of blocks");
    auto const dataset = open_dataset(state_->h5.get(), dataset_path(name));
    rewrite_numbers_attribute(dataset.get(), "checksum", checksums);
    --state_->missing_checksums;
}

void ModelFileWriter::mark_part(SetPart part) { state_->part = std::move(part); }

std::string const& ModelFileWriter::partial() const { return state_->file.name().partial(); }

void ModelFileWriter::commit(std::vector<SourceFile> const& sources, Existing existing) {
    finish(sources);
    give_name(existing);
}

void ModelFileWriter::give_name(Existing existing) { state_->file.commit(existing); }

void ModelFileWriter::finish(std::vector<SourceFile> const& sources) {
    require(state_->missing_checksums == 0, "a tensor has no checksums yet");
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
    state_->file.make_durable();
}

}  // namespace tesserank::io
