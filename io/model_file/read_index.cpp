#include "io/hdf5/attribute.hpp"
#include "io/hdf5/dataset.hpp"
#include "io/hdf5/error.hpp"
#include "io/hdf5/file.hpp"
#include "io/hdf5/links.hpp"
#include "io/hdf5/type.hpp"
#include "io/input_file.hpp"
#include "io/model_file/checksum.hpp"
#include "io/model_file/format.hpp"
#include "io/model_file/model_index.hpp"
#include "io/model_file/set_index.hpp"
#include "io/model_file/tensor_name.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

namespace tesserank::io {
namespace {

using kernels::InputError;

/// Which of the two kinds of files is read.
enum class FileKind : unsigned char { model, part };

void check_format(hid_t root, FileKind kind) {
    auto const format = check_h5(H5Aexists(root, "format"), "the file") == 0
                            ? std::string()
                            : read_text_attribute(root, "format");
    if (format == part_format && kind == FileKind::model) {
        throw InputError("is one file of a set; name the set's folder instead");
    }
    if (format == model_format && kind == FileKind::part) {
        throw InputError("is a whole model file, expected one file of a set");
    }
    if (format != model_format && format != part_format) {
        throw InputError("is not a tesserank model file; tesserank convert makes one");
    }
    auto const version = read_number_attribute(root, "format_version");
    if (version == model_format_version) return;
    throw InputError("has format version " + std::to_string(version) +
                     ", but this tesserank reads version " + std::to_string(model_format_version) +
                     ". Use a newer tesserank, or convert the model again.");
}

SetPart read_part(hid_t root) {
    auto const ranks = read_number_attribute(root, "set_ranks");
    if (ranks < 1 || ranks > most_set_ranks) {
        throw InputError("set_ranks is " + std::to_string(ranks));
    }
    return {.name = read_text_attribute(root, "set_part"),
            .model_sha256 = read_text_attribute(root, "set_model_sha256"),
            .plan_sha256 = read_text_attribute(root, "set_plan_sha256"),
            .ranks = static_cast<int>(ranks)};
}

std::vector<SourceFile> read_sources(hid_t root) {
    auto const names = read_texts_attribute(root, "source_files");
    auto const hashes = read_texts_attribute(root, "source_sha256");
    if (names.size() != hashes.size()) {
        throw InputError("source_files and source_sha256 differ in length");
    }
    std::vector<SourceFile> sources;
    for (std::size_t i = 0; i < names.size(); ++i) sources.push_back({names[i], hashes[i]});
    return sources;
}

std::string read_document(H5Dataset const& dataset, InputFile const& file) {
    auto const type = own_h5<H5Type>(H5Dget_type(dataset.get()), "H5Dget_type");
    if (H5Tget_class(type.get()) != H5T_STRING || H5Tis_variable_str(type.get()) != 0 ||
        !shape_of(dataset).empty()) {
        throw InputError("is not one text of a fixed size");
    }
    auto const bytes = H5Tget_size(type.get());
    if (bytes > most_document_bytes) throw InputError("is too long");
    auto const storage = storage_of(dataset, bytes, file.bytes());
    std::string text(bytes, '\0');
    file.read(storage.offset, std::as_writable_bytes(std::span(text)));
    auto const expected = read_numbers_attribute(dataset.get(), "checksum", 1).front();
    if (checksum_of(std::as_bytes(std::span(text))) != expected) {
        throw InputError("does not have its checksum: the file is damaged. Convert it again.");
    }
    return text;
}

/// Runs `read`, naming what was read in the message of an InputError.
template <class Read>
auto naming(std::string const& name, Read const& read) {
    try {
        return read();
    } catch (InputError const& error) {
        throw InputError(name + ": " + error.what());
    }
}

H5Dataset open_document(hid_t root, std::string const& name) {
    auto object = open_link(root, name);
    if (H5Iget_type(object.get()) != H5I_DATASET) throw InputError("is not a data set");
    return H5Dataset(object.release());
}

void read_documents(hid_t root, InputFile const& file, ModelIndex& index) {
    for (auto const& kind : document_kinds) {
        auto const name = std::string(kind.name);
        if (index.documents.contains(name)) continue;
        if (check_h5(H5Lexists(root, name.c_str(), H5P_DEFAULT), name) == 0) continue;
        index.documents[name] =
            naming("/" + name, [&] { return read_document(open_document(root, name), file); });
    }
}

/// Four numbers each. Their bounds are far below an overflow: nothing larger can be in a
/// checkpoint.
void read_regions(H5Dataset const& dataset, StoredTensor& tensor) {
    constexpr std::uint64_t most = std::uint64_t{1} << 48;
    constexpr std::size_t numbers_each = 4;
    std::size_t const rows = tensor.shape.size() == 2 ? tensor.shape[0] : 0;
    auto const count = count_numbers_attribute(dataset.get(), "region") / numbers_each;
    if (count == 0 || count > rows) throw InputError("has regions that are not its shape");
    auto const numbers = read_numbers_attribute(dataset.get(), "region", numbers_each * count);
    std::size_t sum = 0, end = 0;
    for (std::size_t i = 0; i < numbers.size(); i += numbers_each) {
        model::Region const region{{numbers[i], numbers[i + 1]}, {numbers[i + 2], numbers[i + 3]}};
        bool const fits = region.rows.begin >= end && region.rows.begin <= most &&
                          region.cols.begin <= most && region.rows.count <= rows - sum &&
                          region.cols.count == tensor.shape[1];
        if (!fits) throw InputError("has regions that are not its shape");
        sum += region.rows.count;
        end = region.rows.end();
        tensor.regions.push_back(region);
    }
    if (sum != rows) throw InputError("has regions that are not its shape");
}

StoredTensor read_tensor(std::string const& path, H5Dataset const& dataset,
                         std::size_t file_bytes) {
    StoredTensor tensor;
    tensor.name = tensor_of_path(path);
    auto const type = own_h5<H5Type>(H5Dget_type(dataset.get()), "H5Dget_type");
    auto const dtype = dtype_of_h5(type);
    if (!dtype) throw InputError("has an element type that is not f32, bf16 or f16");
    tensor.dtype = *dtype;
    tensor.shape = shape_of(dataset);
    tensor.bytes = bytes_of_shape(tensor.shape, tensor.dtype);
    tensor.offset = storage_of(dataset, tensor.bytes, file_bytes).offset;
    tensor.block_bytes = read_number_attribute(dataset.get(), "block_bytes");
    if (tensor.block_bytes == 0 || tensor.block_bytes > most_block_bytes ||
        tensor.block_bytes % kernels::size_of(tensor.dtype) != 0) {
        throw InputError("block_bytes is " + std::to_string(tensor.block_bytes) +
                         ", expected whole elements up to " + std::to_string(most_block_bytes));
    }
    auto const blocks = (tensor.bytes + tensor.block_bytes - 1) / tensor.block_bytes;
    tensor.checksums = read_numbers_attribute(dataset.get(), "checksum", blocks);
    if (check_h5(H5Aexists(dataset.get(), "region"), "region") != 0) read_regions(dataset, tensor);
    return tensor;
}

void read_tensors(hid_t root, ModelIndex& index) {
    if (check_h5(H5Lexists(root, weights_group, H5P_DEFAULT), weights_group) == 0) {
        if (index.part) return;  // a rank may hold nothing of its own
        throw InputError("/weights is missing");
    }
    auto const group = open_link(root, weights_group);
    if (H5Iget_type(group.get()) != H5I_GROUP) throw InputError("/weights is not a group");
    visit_datasets(group.get(), most_name_parts, [&](auto const& path, auto const& dataset) {
        index.tensors.push_back(naming(std::string("/weights/") + path, [&] {
            return read_tensor(path, dataset, index.file_bytes);
        }));
    });
    std::ranges::sort(index.tensors, [](auto const& a, auto const& b) {
        return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
    });
}

ModelIndex read_all(InputFile const& file, FileKind kind) {
    auto const h5 = open_h5(file.path());
    auto const root = h5.get();
    check_format(root, kind);
    ModelIndex index;
    if (kind == FileKind::part) index.part = read_part(root);
    index.path = file.path();
    index.file_bytes = file.bytes();
    index.created_by = read_text_attribute(root, "created_by");
    index.sources = read_sources(root);
    read_documents(root, file, index);
    if (kind == FileKind::model && !index.documents.contains("config")) {
        throw InputError("/config is missing");
    }
    read_tensors(root, index);
    return index;
}

ModelIndex read_file(std::string const& path, FileKind kind) {
    InputFile const file(path);
    try {
        return read_all(file, kind);
    } catch (InputError const& error) {
        throw InputError(path + ": " + error.what());
    } catch (H5Error const& error) {
        throw InputError(path + ": is damaged or not a model file (" + error.what() + ")");
    }
}

}  // namespace

ModelIndex read_model_index(std::string const& path) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) return read_set(path);
    return read_file(path, FileKind::model);
}

ModelIndex read_part_index(std::string const& path) { return read_file(path, FileKind::part); }

}  // namespace tesserank::io
