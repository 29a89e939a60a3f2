#pragma once

#include "io/model_file/locked_file.hpp"
#include "io/model_file/model_index.hpp"
#include "io/requests/partial_file.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::io {

/// Where bytes of a tensor go: one run of a file. Travels as bytes.
struct Place {
    std::size_t file = 0;  ///< of ModelWriter::files()
    std::size_t offset = 0, bytes = 0;
    std::size_t block_bytes = 0;  ///< that one checksum covers

    std::size_t blocks() const { return (bytes + block_bytes - 1) / block_bytes; }
};

/// Lays a model out in one file or several, which have their real names only after commit(). The
/// tensors' bytes go past it, in any order and from any process, by a TensorWriter.
class ModelWriter {
  public:
    virtual ~ModelWriter() = default;

    virtual std::vector<WritableFile> files() const = 0;

    /// A text that is not empty; `name` as in document_kinds.
    virtual void add_document(std::string_view name, std::string_view text) = 0;

    /// Reserves the places of a tensor. All tensors' names together must be possible as paths:
    /// "a.b" and "a.b.c" are not.
    virtual std::vector<Place> add_tensor(std::string const& name, kernels::DType dtype,
                                          std::vector<std::size_t> const& shape) = 0;

    /// Of all blocks of all `places` of a tensor, one place after the other.
    virtual void set_checksums(std::string const& name, std::span<Place const> places,
                               std::span<std::uint64_t const> checksums) = 0;

    /// Closes the files, makes them durable and gives them their real names. Errors: also
    /// InputError when there is another one, which is to be kept; LogicError when a tensor has no
    /// checksums yet.
    virtual void commit(std::vector<SourceFile> const& sources, Existing existing) = 0;
};

}  // namespace tesserank::io
