#include "io/model_file/model_index.hpp"
#include "io/model_file/set_index.hpp"
#include "io/model_file/verify.hpp"
#include "parallel/agree.hpp"

#include <nlohmann/json.hpp>

#include <functional>

namespace tesserank::io {
namespace {

using nlohmann::json;

// The texts travel as bytes: CBOR keeps them whatever they hold.

json to_json(StoredTensor const& tensor) {
    return {tensor.name,     static_cast<int>(tensor.dtype),
            tensor.shape,    tensor.offset,
            tensor.bytes,    tensor.block_bytes,
            tensor.checksums};
}

StoredTensor tensor_of(json const& value) {
    return {.name = value[0],
            .dtype = static_cast<kernels::DType>(value[1].get<int>()),
            .shape = value[2],
            .offset = value[3],
            .bytes = value[4],
            .block_bytes = value[5],
            .checksums = value[6]};
}

std::string pack(ModelIndex const& index) {
    json tensors = json::array();
    for (auto const& tensor : index.tensors) tensors.push_back(to_json(tensor));
    json sources = json::array();
    for (auto const& source : index.sources) sources.push_back({source.name, source.sha256});
    std::string packed;
    json::to_cbor(json{{"path", index.path},
                       {"file_bytes", index.file_bytes},
                       {"created_by", index.created_by},
                       {"sources", std::move(sources)},
                       {"documents", index.documents},
                       {"tensors", std::move(tensors)},
                       {"set_folder", index.set ? index.set->folder : ""},
                       {"set", index.set ? set_text(*index.set) : ""}},
                  packed);
    return packed;
}

ModelIndex unpack(std::string const& packed) {
    auto const value = json::from_cbor(packed);
    ModelIndex index{.path = value["path"],
                     .file_bytes = value["file_bytes"],
                     .created_by = value["created_by"],
                     .sources = {},
                     .documents = value["documents"].get<decltype(index.documents)>(),
                     .tensors = {}};
    for (auto const& source : value["sources"]) index.sources.push_back({source[0], source[1]});
    for (auto const& tensor : value["tensors"]) index.tensors.push_back(tensor_of(tensor));
    auto const set = value["set"].get<std::string>();
    if (!set.empty()) {
        index.set = std::make_shared<SetIndex const>(
            parse_set(set, value["set_folder"].get<std::string>()));
    }
    return index;
}

/// What rank 0 reads, on all ranks.
ModelIndex share(parallel::MpiCommunicator& ranks, std::function<ModelIndex()> const& read) {
    ModelIndex index;
    std::string packed;
    parallel::agree(ranks, [&] {
        if (ranks.rank() != 0) return;
        index = read();
        if (ranks.size() > 1) packed = pack(index);
    });
    if (ranks.size() == 1) return index;
    packed = ranks.broadcast_text(std::move(packed), 0);
    return ranks.rank() == 0 ? index : unpack(packed);
}

}  // namespace

ModelIndex open_model(std::string const& path, parallel::MpiCommunicator& ranks) {
    return share(ranks, [&] { return read_model_index(path); });
}

std::vector<ModelIndex> files_of(ModelIndex const& index, parallel::MpiCommunicator& ranks) {
    std::vector<ModelIndex> files{index};
    if (!index.set) return files;
    files.reserve(index.set->files.size());
    for (std::size_t file = 1; file < index.set->files.size(); ++file) {
        files.push_back(share(ranks, [&] { return open_part(*index.set, file); }));
    }
    return files;
}

}  // namespace tesserank::io
