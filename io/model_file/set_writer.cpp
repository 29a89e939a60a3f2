#include "io/model_file/set_writer.hpp"

#include "io/file_error.hpp"
#include "io/model_file/sha256.hpp"
#include "io/requests/json_text.hpp"
#include "kernels/error.hpp"
#include "kernels/phase.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <utility>

namespace tesserank::io {
namespace {

namespace fs = std::filesystem;
using kernels::InputError;

/// "rank12.h5".
bool is_rank_file(std::string_view name) {
    constexpr std::string_view begin = "rank";
    constexpr std::string_view end = ".h5";
    if (!name.starts_with(begin) || !name.ends_with(end)) return false;
    name.remove_prefix(begin.size());
    name.remove_suffix(std::min(end.size(), name.size()));
    return !name.empty() &&
           std::ranges::all_of(name, [](unsigned char c) { return std::isdigit(c) != 0; });
}

/// The final name of a file that has its temporary one; any other name as it is.
std::string without_partial(std::string name) {
    constexpr std::string_view partial = ".partial";
    if (name.ends_with(partial)) name.resize(name.size() - partial.size());
    return name;
}

/// Also under the temporary name.
bool belongs_to_set(std::string const& whole_name) {
    auto const name = without_partial(whole_name);
    return name == set_index_name || name == set_file_name(0) || is_rank_file(name);
}

void check_folder(std::string const& path, Existing existing) {
    if (is_set(path) && existing == Existing::keep) {
        throw InputError(path + ": exists already; --force replaces it");
    }
    for (auto const& entry : fs::directory_iterator(path)) {
        auto const name = entry.path().filename().string();
        if (belongs_to_set(name)) continue;
        throw InputError(path + ": holds " + quote_name(name) +
                         ", which is no file of a set; name a new folder");
    }
}

/// Makes the folder unless it is there.
bool make_folder(std::string const& path) {
    std::error_code error;
    if (fs::exists(path, error) && !fs::is_directory(path, error)) {
        throw InputError(path + ": is a file, expected the name of a folder for the set's files");
    }
    bool const made = fs::create_directory(path, error);
    if (error) throw InputError(path + ": cannot be made: " + error.message());
    return made;
}

void write_all(PartialFile const& file, std::string_view text) {
    while (!text.empty()) {
        auto const wrote = ::write(file.descriptor(), text.data(), text.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) throw kernels::SystemError(file_error(file.path(), "written", errno));
        text.remove_prefix(static_cast<std::size_t>(wrote));
    }
}

/// A path without the slashes at its end.
std::string without_slash(std::string path) {
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    return path;
}

}  // namespace

SetFolder::SetFolder(std::string path, Existing existing)
    : path_(without_slash(std::move(path))), made_{make_folder(path_)} {
    check_folder(path_, existing);
}

SetFolder::~SetFolder() {
    std::error_code ignored;
    if (made_) fs::remove(path_, ignored);
}

void SetFolder::clear(int ranks) const {
    fs::remove(fs::path(path_) / set_index_name);
    std::set<std::string> own;
    for (auto const& path : set_file_paths(path_, ranks)) {
        own.insert(fs::path(path).filename().string());
    }
    for (auto const& entry : fs::directory_iterator(path_)) {
        auto const name = entry.path().filename().string();
        auto const final_name = without_partial(name);
        bool const is_own = final_name != name && own.contains(final_name);
        if (is_rank_file(final_name) && !is_own) fs::remove(entry.path());
        kernels::note_progress();
    }
}

model::HeldTensor const* SetPlan::cut_of(std::string_view tensor) const {
    auto const found = tensors.find(tensor);
    return found == tensors.end() || found->second.whole_everywhere() ? nullptr : &found->second;
}

std::vector<std::string> set_file_paths(std::string const& folder, int ranks) {
    std::vector<std::string> paths;
    for (std::size_t file = 0; file <= SetIndex::file_of_rank(ranks - 1); ++file) {
        paths.push_back(without_slash(folder) + "/" + set_file_name(file));
    }
    return paths;
}

SetWriter::SetWriter(std::string const& folder, SetPlan plan, Existing existing)
    : plan_(std::move(plan)),
      folder_(folder, existing),
      index_(folder_.path() + "/" + set_index_name) {
    index_.create();
    // Another writer may have made a set meanwhile; from now on none can.
    check_folder(folder_.path(), existing);
    for (auto const& path : set_file_paths(folder, plan_.ranks)) {
        files_.emplace_back(path);
        kernels::note_progress();
    }
}

std::vector<WritableFile> SetWriter::files() const {
    std::vector<WritableFile> files;
    files.reserve(files_.size());
    for (auto const& file : files_) files.push_back(file.files().front());
    return files;
}

void SetWriter::add_document(std::string_view name, std::string_view text) {
    files_.front().add_document(name, text);
}

std::vector<Place> SetWriter::add_tensor(std::string const& name, kernels::DType dtype,
                                         std::vector<std::size_t> const& shape) {
    auto& tensor = tensors_.emplace_back();
    tensor.name = name;
    tensor.dtype = dtype;
    tensor.shape = shape;
    tensor.bytes = bytes_of_shape(shape, dtype);
    auto const found = plan_.tensors.find(name);
    if (found != plan_.tensors.end()) {
        auto const& held = found->second;
        if (tensor.rows() != held.rows || tensor.cols() != held.cols) {
            throw InputError("tensor " + name + " has " + std::to_string(tensor.rows()) + " x " +
                             std::to_string(tensor.cols()) + " elements, but config.json says " +
                             std::to_string(held.rows) + " x " + std::to_string(held.cols));
        }
    }
    auto const* const cut = plan_.cut_of(name);
    if (cut == nullptr) return files_.front().add_tensor(name, dtype, shape);
    std::vector<Place> places;
    for (std::size_t file = 1; file < files_.size(); ++file) {
        auto const& regions = cut->regions[file - 1];
        if (regions.empty()) continue;
        places.push_back(files_[file].add_piece(name, dtype, regions));
        places.back().file = file;
    }
    return places;
}

void SetWriter::set_checksums(std::string const& name, std::span<Place const> places,
                              std::span<std::uint64_t const> checksums) {
    for (auto const& place : places) {
        files_[place.file].set_checksums(name, std::span(&place, 1),
                                         checksums.first(place.blocks()));
        checksums = checksums.subspan(place.blocks());
    }
}

void SetWriter::commit(std::vector<SourceFile> const& sources, Existing existing) {
    SetIndex set{.folder = folder_.path(),
                 .ranks = plan_.ranks,
                 .placement = plan_.placement,
                 .plan = plan_.plan,
                 .model_sha256 = model_sha256(sources, tensors_),
                 .files = {},
                 .tensors = std::move(tensors_)};
    // All that a full disk can stop comes before the old set goes.
    for (std::size_t file = 0; file < files_.size(); ++file) {
        files_[file].mark_part({.name = set_part_name(file),
                                .model_sha256 = set.model_sha256,
                                .plan_sha256 = sha256_of(set.plan),
                                .ranks = set.ranks});
        files_[file].finish(sources);
        auto const written = read_part_index(files_[file].partial());
        set.files.push_back({set_file_name(file), written.file_bytes, content_sha256(written)});
        kernels::note_progress();
    }
    write_all(index_, set_text(set));
    index_.make_durable();
    folder_.clear(plan_.ranks);
    for (auto& file : files_) {
        file.give_name(Existing::replace);
        kernels::note_progress();
    }
    index_.commit(existing);
}

}  // namespace tesserank::io
