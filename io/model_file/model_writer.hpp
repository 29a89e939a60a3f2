#pragma once

#include "io/model_file/model_index.hpp"
#include "io/requests/partial_file.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::io {

/// Takes a model piece by piece and writes it to one file or several, which have their real names
/// only after commit().
class ModelWriter {
  public:
    virtual ~ModelWriter() = default;

    /// A text that is not empty; `name` as in document_kinds.
    virtual void add_document(std::string_view name, std::string_view text) = 0;

    /// Begins a tensor; its bytes follow by append(), in whole elements. All tensors' names
    /// together must be possible as paths: "a.b" and "a.b.c" are not.
    virtual void begin_tensor(std::string const& name, kernels::DType dtype,
                              std::vector<std::size_t> const& shape) = 0;
    virtual void append(std::span<std::byte const> bytes) = 0;
    virtual void end_tensor() = 0;

    /// Closes the files, makes them durable and gives them their real names. Errors: also
    /// InputError when there is another one, which is to be kept.
    virtual void commit(std::vector<SourceFile> const& sources, Existing existing) = 0;
};

}  // namespace tesserank::io
