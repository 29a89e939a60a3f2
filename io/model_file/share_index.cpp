#include "io/model_file/model_index.hpp"
#include "parallel/agree.hpp"

#include <nlohmann/json.hpp>

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
    json::to_cbor(json{{"file_bytes", index.file_bytes},
                       {"created_by", index.created_by},
                       {"sources", std::move(sources)},
                       {"documents", index.documents},
                       {"tensors", std::move(tensors)}},
                  packed);
    return packed;
}

ModelIndex unpack(std::string const& path, std::string const& packed) {
    auto const value = json::from_cbor(packed);
    ModelIndex index{.path = path,
                     .file_bytes = value["file_bytes"],
                     .created_by = value["created_by"],
                     .sources = {},
                     .documents = value["documents"].get<decltype(index.documents)>(),
                     .tensors = {}};
    for (auto const& source : value["sources"]) index.sources.push_back({source[0], source[1]});
    for (auto const& tensor : value["tensors"]) index.tensors.push_back(tensor_of(tensor));
    return index;
}

}  // namespace

ModelIndex open_model(std::string const& path, parallel::MpiCommunicator& ranks) {
    ModelIndex index;
    std::string packed;
    parallel::agree(ranks, [&] {
        if (ranks.rank() != 0) return;
        index = read_model_index(path);
        if (ranks.size() > 1) packed = pack(index);
    });
    if (ranks.size() == 1) return index;
    packed = ranks.broadcast_text(std::move(packed), 0);
    return ranks.rank() == 0 ? index : unpack(path, packed);
}

}  // namespace tesserank::io
