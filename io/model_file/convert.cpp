#include "io/model_file/convert.hpp"

#include "io/hdf5/error.hpp"
#include "io/json_reader.hpp"
#include "io/model_file/convert_copy.hpp"
#include "io/model_file/convert_layout.hpp"
#include "io/model_file/convert_share.hpp"
#include "io/model_file/convert_team.hpp"
#include "io/model_file/format.hpp"
#include "io/model_file/sha256.hpp"
#include "io/model_file/tensor_name.hpp"
#include "io/model_file/writer.hpp"
#include "io/requests/json_text.hpp"
#include "io/safetensors/reader.hpp"
#include "kernels/error.hpp"
#include "kernels/phase.hpp"

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>

namespace tesserank::io {
namespace {

using kernels::InputError;

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

/// The plan, and what each rank gets of each tensor by it.
void add_set(SetPlan const& set, std::function<void(std::string)> const& add,
             std::function<void(std::span<std::size_t const>)> const& add_numbers) {
    add(set.placement + " " + set.plan + " " + std::to_string(set.ranks));
    for (auto const& [name, held] : set.tensors) {
        add(name);
        add_numbers(std::array{held.rows, held.cols});
        for (auto const& regions : held.regions) {
            for (auto const& [rows, cols] : regions) {
                add_numbers(std::array{rows.begin, rows.count, cols.begin, cols.count});
            }
            add("");
        }
    }
}

/// What ranks have to see alike: every name and place, and what becomes of it.
std::string digest_of(SafetensorsReader const& source, ConvertOptions const& options) {
    Sha256 digest;
    auto const add = [&](std::string text) {
        text += '\n';
        digest.append(std::as_bytes(std::span(text)));
    };
    auto const add_numbers = [&](std::span<std::size_t const> numbers) {
        digest.append(std::as_bytes(numbers));
        add("");
    };
    if (options.dtype) add(std::string(kernels::name_of(*options.dtype)));
    if (options.set) add_set(*options.set, add, add_numbers);
    for (auto const& file : source.files()) {
        add(file.path + " " + std::to_string(file.version.bytes));
        for (auto const& tensor : file.tensors) {
            add(tensor.name + " " + std::string(name_of(tensor.dtype)));
            add_numbers(std::array{tensor.offset, tensor.bytes});
            add_numbers(tensor.shape);
        }
    }
    return digest.finish();
}

std::unique_ptr<ModelWriter> make_writer(ConvertOptions const& options) {
    if (!options.set) return std::make_unique<ModelFileWriter>(options.model_path);
    return std::make_unique<SetWriter>(options.model_path, *options.set, options.existing);
}

/// HDF5's messages do not name the file.
void name_h5_errors(std::string const& path, std::function<void()> const& work) {
    try {
        work();
    } catch (H5Error const& error) {
        throw kernels::SystemError(path + ": writing failed: " + error.what());
    }
}

/// What was written long ago may wait for the disk until now: nobody can tell for how long.
constexpr char const* making_durable = "making the model durable";

class Conversion {
  public:
    Conversion(ConvertOptions const& options, parallel::MpiCommunicator* ranks)
        : options_{options}, team_(ranks) {}

    ConvertReport run();

  private:
    void open_source();
    void lay_out();
    void add_documents();
    void add_document(DocumentKind const& kind, std::string const& path);
    std::vector<JoinedFile> join() const;
    void copy(std::function<bool()> const& goes_on);
    void finish(std::vector<ConvertFindings> const& findings);
    ConvertReport report() const;
    void note_source(std::string const& path, std::string sha256) {
        sources_.push_back({std::filesystem::path(path).filename().string(), std::move(sha256)});
    }

    ConvertOptions const& options_;
    ConvertTeam team_;
    std::optional<SafetensorsReader> source_;
    std::vector<ConvertShare> shares_;  ///< by rank
    ConvertLayout layout_;
    ConvertFindings findings_;  ///< of this rank
    // What rank 0 alone has:
    std::unique_ptr<ModelWriter> writer_;
    std::set<std::string_view> documents_;
    std::vector<SourceFile> sources_;
};

void Conversion::open_source() {
    team_.agree([&] {
        source_.emplace(options_.source_folder);
        if (!team_.is_first()) return;
        check_target(options_, *source_);
        check_names(*source_);
    });
    auto const digest = digest_of(*source_, options_);
    auto const expected = team_.from_first(digest);
    team_.agree([&] {
        if (digest == expected) return;
        throw InputError(options_.source_folder + ": holds something else than on rank 0" +
                         (options_.set ? ", or the set is to be cut in another way" : ""));
    });
}

void Conversion::add_documents() {
    for (auto const& kind : document_kinds) {
        auto const path = std::filesystem::path(options_.source_folder) / kind.file;
        std::error_code error;
        if (documents_.contains(kind.name) || !std::filesystem::exists(path, error)) continue;
        add_document(kind, path.string());
    }
    if (!documents_.contains("config")) {
        throw InputError(options_.source_folder + ": config.json is missing");
    }
    auto const& index = source_->index_path();
    if (!index.empty()) note_source(index, sha256_of(read_text_file(index, most_document_bytes)));
}

void Conversion::add_document(DocumentKind const& kind, std::string const& path) {
    auto const text = read_text_file(path, most_document_bytes);
    if (text.empty() && !kind.json) return;
    if (kind.json) check_json(text, path);
    writer_->add_document(kind.name, text);
    documents_.insert(kind.name);
    note_source(path, sha256_of(text));
}

void Conversion::lay_out() {
    writer_ = make_writer(options_);
    add_documents();
    for (auto const& file : source_->files()) {
        for (auto const& tensor : file.tensors) {
            auto& places = layout_.places.emplace_back();
            auto const dtype = kept_dtype(options_, tensor);
            if (dtype) places = writer_->add_tensor(tensor.name, *dtype, tensor.shape);
            kernels::note_progress();
        }
    }
    if (report().tensors == 0) throw InputError(options_.source_folder + ": has no weights");
    for (auto const& file : writer_->files()) layout_.files.push_back(file.identity());
    auto const file = writer_->files().front();
    layout_.writing = writing_on(file_system_magic(file.descriptor, file.path.c_str()));
}

/// The files that rank 0 has made.
std::vector<JoinedFile> Conversion::join() const {
    std::vector<JoinedFile> joined;
    auto const paths = options_.set ? set_file_paths(options_.model_path, options_.set->ranks)
                                    : std::vector{options_.model_path};
    bool const near = team_.is_on_first_node();
    for (std::size_t i = 0; i < paths.size(); ++i) {
        auto expected = layout_.files[i];
        if (!near) expected.device.reset();
        joined.emplace_back(paths[i], expected);
    }
    return joined;
}

/// This rank's share.
void Conversion::copy(std::function<bool()> const& goes_on) {
    if (layout_.writing == Writing::one_node && !team_.is_on_first_node()) return;
    std::vector<JoinedFile> joined;
    std::vector<WritableFile> files;
    if (team_.is_first()) {
        files = writer_->files();
    } else {
        joined = join();
        for (auto const& file : joined) files.push_back(file.file());
    }
    ShareCopier copier(options_, source_->files(), layout_, files);
    findings_ = copier.run(shares_[static_cast<std::size_t>(team_.rank())], goes_on);
    kernels::Phase const phase(making_durable, kernels::Phase::Pace::open);
    for (auto const& file : joined) {
        if (goes_on()) file.sync();
    }
}

/// On rank 0, with what all ranks have found. A tensor's rank tells its checksums in the order in
/// which it has converted them.
void Conversion::finish(std::vector<ConvertFindings> const& findings) {
    kernels::Phase const phase(making_durable, kernels::Phase::Pace::open);
    std::vector<std::span<std::uint64_t const>> checksums;
    std::vector<std::span<std::string const>> hashes;
    for (auto const& [own_hashes, own_checksums] : findings) {
        hashes.emplace_back(own_hashes);
        checksums.emplace_back(own_checksums);
    }
    auto places = layout_.places.begin();
    auto const files = source_->files();
    for (std::size_t file = 0; file < files.size(); ++file) {
        for (std::size_t i = 0; i < files[file].tensors.size(); ++i, ++places) {
            if (places->empty()) continue;
            auto& own = checksums[rank_that_converts(shares_, file, i)];
            std::size_t blocks = 0;
            for (auto const& place : *places) blocks += place.blocks();
            writer_->set_checksums(files[file].tensors[i].name, *places, own.first(blocks));
            own = own.subspan(blocks);
            kernels::note_progress();
        }
        auto& own = hashes[rank_that_hashes(shares_, file)];
        note_source(files[file].path, own.front());
        own = own.subspan(1);
    }
    writer_->commit(sources_, options_.existing);
}

ConvertReport Conversion::report() const {
    ConvertReport report;
    report.source_bytes = source_->bytes();
    for (auto const& file : source_->files()) {
        for (auto const& tensor : file.tensors) {
            if (!weight_dtype(tensor.dtype)) {
                report.skipped.push_back(tensor.name);
                continue;
            }
            ++report.tensors;
            report.elements += tensor.bytes / size_of(tensor.dtype);
        }
    }
    return report;
}

ConvertReport Conversion::run() {
    open_source();
    team_.agree([&] {
        if (team_.is_first()) name_h5_errors(options_.model_path, [&] { lay_out(); });
    });
    layout_ = unpacked_layout(team_.from_first(packed(layout_)));
    shares_ = layout_.writing == Writing::one_node
                  ? share_on_first_node(source_->files(), team_.nodes())
                  : share_conversion(source_->files(), team_.size());
    team_.agree_early([&](std::function<bool()> const& goes_on) { copy(goes_on); });
    std::vector<ConvertFindings> findings;
    for (auto const& text : team_.texts_of_all(packed(findings_))) {
        findings.push_back(unpacked_findings(text));
    }
    team_.agree([&] {
        if (team_.is_first()) name_h5_errors(options_.model_path, [&] { finish(findings); });
    });
    return report();
}

}  // namespace

ConvertReport convert_checkpoint(ConvertOptions const& options, parallel::MpiCommunicator* ranks) {
    return Conversion(options, ranks).run();
}

}  // namespace tesserank::io
