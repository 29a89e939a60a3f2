#pragma once

#include "io/model_file/model_index.hpp"
#include "io/requests/partial_file.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::io {

/// Writes a model file piece by piece under a temporary name; commit() gives it its real name, and
/// without it nothing is left behind. Memory: a checksum per block. Errors of all: SystemError with
/// the system's text when the disk is full; InputError naming a tensor whose name cannot be kept.
class ModelFileWriter {
  public:
    explicit ModelFileWriter(std::string const& path);
    ~ModelFileWriter();
    ModelFileWriter(ModelFileWriter const&) = delete;
    ModelFileWriter& operator=(ModelFileWriter const&) = delete;

    /// A text that is not empty; `name` as in document_kinds.
    void add_document(std::string_view name, std::string_view text);

    /// Begins a tensor; its bytes follow by append(), in pieces of any size. All tensors' names
    /// together must be possible as paths: "a.b" and "a.b.c" are not.
    void begin_tensor(std::string const& name, kernels::DType dtype,
                      std::vector<std::size_t> const& shape);
    void append(std::span<std::byte const> bytes);
    void end_tensor();

    /// Closes the file, makes it durable and gives it its real name.  Errors: also InputError when
    /// another file has that name, which is to be kept.
    void commit(std::vector<SourceFile> const& sources, Existing existing = Existing::replace);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace tesserank::io
