#include "io/model_file/set_index.hpp"

#include "io/input_file.hpp"
#include "io/json_reader.hpp"
#include "io/model_file/sha256.hpp"
#include "io/requests/json_text.hpp"
#include "kernels/error.hpp"

#include <filesystem>
#include <limits>
#include <span>

namespace tesserank::io {
namespace {

using kernels::InputError;

constexpr std::string_view set_format = "tesserank-set";
constexpr std::int64_t set_format_version = 1;
constexpr std::size_t most_index_bytes = std::size_t{64} << 20;
constexpr auto most_bytes = std::numeric_limits<std::int64_t>::max();

std::string file_text(SetFile const& file) {
    return JsonObject()
        .add("name", file.name)
        .add("bytes", file.bytes)
        .add("sha256", file.sha256)
        .close();
}

std::string tensor_text(StoredTensor const& tensor) {
    std::string shape;
    append_json(shape, std::span<std::size_t const>(tensor.shape));
    return JsonObject()
        .add("name", tensor.name)
        .add("dtype", kernels::name_of(tensor.dtype))
        .add_json("shape", shape)
        .close();
}

template <class Item>
std::string list_text(std::vector<Item> const& items, std::string (*text)(Item const&)) {
    std::string list;
    for (auto const& item : items) list += (list.empty() ? "\n" : ",\n") + text(item);
    return "[" + list + "]";
}

StoredTensor read_tensor(JsonNode const& node) {
    node.allow_only({"name", "dtype", "shape"});
    StoredTensor tensor;
    tensor.name = node.at("name").string();
    auto const word = node.at("dtype");
    auto const dtype = kernels::dtype_from_name(word.string());
    if (!dtype) word.fail_expected("f32, bf16 or f16");
    tensor.dtype = *dtype;
    auto const shape = node.at("shape");
    for (auto const& size : shape.elements()) {
        tensor.shape.push_back(static_cast<std::size_t>(size.integer(0, most_bytes)));
    }
    try {
        tensor.bytes = bytes_of_shape(tensor.shape, tensor.dtype);
    } catch (InputError const& error) {
        shape.fail(error.what());
    }
    return tensor;
}

std::vector<SetFile> read_files(JsonNode const& list, int ranks) {
    if (list.size() != SetIndex::file_of_rank(ranks)) {
        list.fail("has " + std::to_string(list.size()) + " files, expected a shared one and " +
                  std::to_string(ranks) + " of the ranks");
    }
    std::vector<SetFile> files;
    files.reserve(list.size());
    for (auto const& node : list.elements()) {
        node.allow_only({"name", "bytes", "sha256"});
        auto const name = node.at("name");
        auto const expected = set_file_name(files.size());
        if (name.string() != expected) name.fail_expected(expected);
        files.push_back({expected,
                         static_cast<std::size_t>(node.at("bytes").integer(0, most_bytes)),
                         node.at("sha256").string()});
    }
    return files;
}

/// Each value on a line of its own, so that no two lists of them look alike.
class Listing {
  public:
    Listing& add(std::string_view text) {
        hash_.append(std::as_bytes(std::span(text)));
        hash_.append(std::as_bytes(std::span("\n", 1)));
        return *this;
    }
    Listing& add(std::uint64_t number) { return add(std::to_string(number)); }
    Listing& add(StoredTensor const& tensor) {
        add(tensor.name).add(kernels::name_of(tensor.dtype)).add(tensor.shape.size());
        for (auto const size : tensor.shape) add(size);
        return *this;
    }
    std::string finish() { return hash_.finish(); }

  private:
    Sha256 hash_;
};

std::string what_to_do(SetIndex const& set) {
    return ". Copy the file there that was written with " + set.folder + "/" + set_index_name +
           ", or convert the model again with --force.";
}

/// Why the file is not the one that was written with the set; empty when it is.
std::string mismatch(SetIndex const& set, std::size_t file, ModelIndex const& found) {
    auto const& part = *found.part;
    if (part.model_sha256 != set.model_sha256) {
        return "is of another model (found " + part.model_sha256.substr(0, 12) + "..., expected " +
               set.model_sha256.substr(0, 12) + "...)";
    }
    if (part.ranks != set.ranks) {
        return "is of a set for " + std::to_string(part.ranks) + " ranks, expected " +
               std::to_string(set.ranks);
    }
    if (part.plan_sha256 != sha256_of(set.plan)) {
        return "is of a set for another plan, expected placement " + set.placement;
    }
    auto const name = set_part_name(file);
    if (part.name != name) return "is the file of " + part.name + ", expected that of " + name;
    if (found.file_bytes != set.files[file].bytes) {
        return "has " + std::to_string(found.file_bytes) + " bytes, expected " +
               std::to_string(set.files[file].bytes);
    }
    return content_sha256(found) == set.files[file].sha256 ? "" : "has another content";
}

}  // namespace

std::string set_file_name(std::size_t file) {
    return file == 0 ? "shared.h5" : "rank" + std::to_string(file - 1) + ".h5";
}

std::string set_part_name(std::size_t file) {
    return file == 0 ? "shared" : "rank " + std::to_string(file - 1);
}

bool is_set(std::string const& path) {
    std::error_code error;
    return std::filesystem::is_regular_file(std::filesystem::path(path) / set_index_name, error);
}

std::string set_text(SetIndex const& set) {
    return JsonObject()
               .add("format", set_format)
               .add("format_version", set_format_version)
               .add("ranks", set.ranks)
               .add("placement", set.placement)
               .add("model_sha256", set.model_sha256)
               .add("plan", set.plan)
               .add_json("files", list_text(set.files, file_text))
               .add_json("tensors", list_text(set.tensors, tensor_text))
               .close() +
           "\n";
}

SetIndex parse_set(std::string_view text, std::string const& folder) {
    JsonDocument const document(text, folder + "/" + set_index_name);
    auto const root = document.root();
    root.allow_only({"format", "format_version", "ranks", "placement", "model_sha256", "plan",
                     "files", "tensors"});
    auto const format = root.at("format");
    if (format.string() != set_format) format.fail_expected("\"" + std::string(set_format) + "\"");
    root.at("format_version").integer(set_format_version, set_format_version);
    SetIndex set;
    set.folder = folder;
    set.ranks =
        static_cast<int>(root.at("ranks").integer(1, static_cast<std::int64_t>(most_set_ranks)));
    set.placement = root.at("placement").string();
    set.model_sha256 = root.at("model_sha256").string();
    set.plan = root.at("plan").string();
    set.files = read_files(root.at("files"), set.ranks);
    for (auto const& node : root.at("tensors").elements()) {
        set.tensors.push_back(read_tensor(node));
    }
    return set;
}

std::string content_sha256(ModelIndex const& file) {
    Listing listing;
    for (auto const& [name, text] : file.documents) listing.add(name).add(sha256_of(text));
    for (auto const& tensor : file.tensors) {
        listing.add(tensor).add(tensor.block_bytes);
        auto const regions = tensor.regions.empty() ? std::vector{model::Region{}} : tensor.regions;
        for (auto const& region : regions) {
            listing.add(region.rows.begin).add(region.rows.count);
            listing.add(region.cols.begin).add(region.cols.count);
        }
        for (auto const checksum : tensor.checksums) listing.add(checksum);
    }
    return listing.finish();
}

std::string model_sha256(std::vector<SourceFile> const& sources,
                         std::vector<StoredTensor> const& tensors) {
    Listing listing;
    for (auto const& source : sources) listing.add(source.name).add(source.sha256);
    for (auto const& tensor : tensors) listing.add(tensor);
    return listing.finish();
}

ModelIndex open_part(SetIndex const& set, std::size_t file) {
    auto const path = set.path_of(file);
    std::error_code error;
    if (!std::filesystem::exists(path, error)) {
        throw InputError(path + ": is missing, expected the file of " + set_part_name(file) +
                         what_to_do(set));
    }
    auto index = read_part_index(path);
    auto const wrong = mismatch(set, file, index);
    if (!wrong.empty()) throw InputError(path + ": " + wrong + what_to_do(set));
    return index;
}

ModelIndex read_set(std::string const& folder) {
    auto const path = folder + "/" + set_index_name;
    if (!is_set(folder)) {
        throw InputError(folder + ": is a folder without " + set_index_name +
                         ", so it holds no set of model files. If convert was stopped, run it "
                         "again.");
    }
    auto const set =
        std::make_shared<SetIndex const>(parse_set(read_text_file(path, most_index_bytes), folder));
    auto index = open_part(*set, 0);
    // The list of tensors says what is allocated: it has to be that of the files.
    if (model_sha256(index.sources, set->tensors) != set->model_sha256) {
        throw InputError(path + ": its tensors are not those of the model" + what_to_do(*set));
    }
    if (!index.documents.contains("config")) {
        throw InputError(index.path + ": /config is missing");
    }
    index.set = set;
    return index;
}

}  // namespace tesserank::io
