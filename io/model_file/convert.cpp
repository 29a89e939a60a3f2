#include "io/model_file/convert.hpp"

#include "io/hdf5/error.hpp"
#include "io/input_file.hpp"
#include "io/json_reader.hpp"
#include "io/model_file/cast.hpp"
#include "io/model_file/format.hpp"
#include "io/model_file/sha256.hpp"
#include "io/model_file/tensor_name.hpp"
#include "io/model_file/writer.hpp"
#include "io/requests/json_text.hpp"
#include "io/safetensors/reader.hpp"
#include "kernels/error.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>

namespace tesserank::io {
namespace {

using kernels::InputError;

constexpr std::size_t elements_per_step = std::size_t{1} << 20;

/// Names that cannot be kept are found before hours of writing.
void check_names(SafetensorsReader const& source) {
    std::set<std::string> paths;
    for (auto const& file : source.files()) {
        for (auto const& tensor : file.tensors) {
            if (paths.insert(path_of_tensor(tensor.name)).second) continue;
            throw InputError(file.path + ": tensor " + quote_name(tensor.name) +
                             " is in another file of the checkpoint too");
        }
    }
    for (auto const& path : paths) {
        for (auto slash = path.find('/'); slash != std::string::npos;
             slash = path.find('/', slash + 1)) {
            if (!paths.contains(path.substr(0, slash))) continue;
            throw InputError("tensors " + quote_name(tensor_of_path(path.substr(0, slash))) +
                             " and " + quote_name(tensor_of_path(path)) +
                             " cannot both be kept: a model file has a group for one of them");
        }
    }
}

std::unique_ptr<ModelWriter> make_writer(ConvertOptions const& options) {
    if (!options.set) return std::make_unique<ModelFileWriter>(options.model_path);
    return std::make_unique<SetWriter>(options.model_path, *options.set, options.existing);
}

class Converter {
  public:
    Converter(ConvertOptions const& options, SafetensorsReader const& source)
        : options_{options}, total_{source.bytes()}, writer_(make_writer(options)) {}

    void copy_documents();
    void copy_file(SafetensorsFile const& file);
    void note_source(std::string const& path, std::string sha256) {
        sources_.push_back({std::filesystem::path(path).filename().string(), std::move(sha256)});
    }
    ConvertReport finish();

  private:
    void copy_document(DocumentKind const& kind, std::string const& path);
    void copy_tensor(InputFile const& file, SafetensorsTensor const& tensor);
    std::span<std::byte const> read(InputFile const& file, std::size_t offset, std::size_t bytes);

    ConvertOptions const& options_;
    std::size_t total_;
    std::size_t done_ = 0;
    std::unique_ptr<ModelWriter> writer_;
    std::unique_ptr<Sha256> hash_;  ///< of the file that is being read
    std::set<std::string_view> documents_;
    std::vector<SourceFile> sources_;
    std::vector<std::byte> input_, output_;
    ConvertReport report_;
};

void Converter::copy_documents() {
    for (auto const& kind : document_kinds) {
        auto const path = std::filesystem::path(options_.source_folder) / kind.file;
        std::error_code error;
        if (documents_.contains(kind.name) || !std::filesystem::exists(path, error)) continue;
        copy_document(kind, path.string());
    }
    if (!documents_.contains("config")) {
        throw InputError(options_.source_folder + ": config.json is missing");
    }
}

void Converter::copy_document(DocumentKind const& kind, std::string const& path) {
    auto const text = read_text_file(path, most_document_bytes);
    if (text.empty() && !kind.json) return;
    if (kind.json) check_json(text, path);
    writer_->add_document(kind.name, text);
    documents_.insert(kind.name);
    note_source(path, sha256_of(text));
}

/// The next bytes of a file, which are part of its hash too.
std::span<std::byte const> Converter::read(InputFile const& file, std::size_t offset,
                                           std::size_t bytes) {
    if (input_.size() < bytes) input_.resize(bytes);
    auto const destination = std::span(input_).first(bytes);
    file.read(offset, destination);
    hash_->append(destination);
    done_ += bytes;
    if (options_.progress) options_.progress(done_, total_);
    return destination;
}

void Converter::copy_file(SafetensorsFile const& file) {
    InputFile const input(file.path);
    if (input.version() != file.version) throw InputError(file.path + ": has changed meanwhile");
    hash_ = std::make_unique<Sha256>();
    read(input, 0, file.tensors.empty() ? input.bytes() : file.tensors.front().offset);
    // The tensors follow each other without a gap, so that reading them hashes the whole file.
    for (auto const& tensor : file.tensors) copy_tensor(input, tensor);
    note_source(file.path, hash_->finish());
}

void Converter::copy_tensor(InputFile const& file, SafetensorsTensor const& tensor) {
    auto const kept = weight_dtype(tensor.dtype);
    auto const dtype = options_.dtype.value_or(kept.value_or(kernels::DType::f32));
    auto const width = size_of(tensor.dtype);
    if (kept) {
        writer_->begin_tensor(tensor.name, dtype, tensor.shape);
        ++report_.tensors;
        report_.elements += tensor.bytes / width;
    } else {
        report_.skipped.push_back(tensor.name);
    }
    for (std::size_t done = 0; done < tensor.bytes;) {
        auto const bytes = std::min(tensor.bytes - done, elements_per_step * width);
        auto const source = read(file, tensor.offset + done, bytes);
        if (kept) {
            output_.resize(bytes / width * kernels::size_of(dtype));
            cast(tensor.dtype, source, dtype, output_);
            writer_->append(output_);
        }
        done += bytes;
    }
    if (kept) writer_->end_tensor();
}

ConvertReport Converter::finish() {
    if (report_.tensors == 0) throw InputError(options_.source_folder + ": has no weights");
    writer_->commit(sources_, options_.existing);
    report_.source_bytes = total_;
    return report_;
}

std::vector<std::string> paths_of(ConvertOptions const& options, SafetensorsReader const& source) {
    std::vector<std::string> paths{source.index_path()};
    for (auto const& file : source.files()) paths.push_back(file.path);
    for (auto const& kind : document_kinds) {
        paths.push_back((std::filesystem::path(options.source_folder) / kind.file).string());
    }
    return paths;
}

/// --force is not meant for the checkpoint itself.
void check_target(ConvertOptions const& options, SafetensorsReader const& source) {
    auto const& path = options.model_path;
    std::error_code error;
    // What may be in the way of a set is its writer's matter.
    if (options.set || !std::filesystem::exists(path, error)) return;
    if (options.existing == Existing::keep) {
        throw InputError(path + ": exists already; --force replaces it");
    }
    for (auto const& other : paths_of(options, source)) {
        if (std::filesystem::equivalent(path, other, error)) {
            throw InputError(path + ": is a file of the checkpoint that is to be converted");
        }
    }
}

ConvertReport convert(ConvertOptions const& options, SafetensorsReader const& source) {
    Converter converter(options, source);
    converter.copy_documents();
    if (!source.index_path().empty()) {
        converter.note_source(source.index_path(),
                              sha256_of(read_text_file(source.index_path(), most_document_bytes)));
    }
    for (auto const& file : source.files()) converter.copy_file(file);
    return converter.finish();
}

}  // namespace

ConvertReport convert_checkpoint(ConvertOptions const& options) {
    SafetensorsReader const source(options.source_folder);
    check_target(options, source);
    check_names(source);
    try {
        return convert(options, source);
    } catch (H5Error const& error) {
        throw kernels::SystemError(options.model_path + ": writing failed: " + error.what());
    }
}

}  // namespace tesserank::io
