#pragma once

#include "io/input_file.hpp"
#include "io/safetensors/header.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::io {

/// One safetensors file, checked; its data has not been read.
struct SafetensorsFile {
    std::string path;
    FileVersion version;                     ///< that was checked
    std::vector<SafetensorsTensor> tensors;  ///< in the order of their bytes
};

/// Errors: see parse_safetensors_header; also InputError for a file without a header.
SafetensorsFile read_safetensors_file(std::string const& path);

/// A checkpoint folder: model.safetensors, or the files that model.safetensors.index.json names.
class SafetensorsReader {
  public:
    /// Reads all headers. Errors: InputError naming the file; for files of an index also when they
    /// lie outside the folder, or hold other tensors than the index says.
    explicit SafetensorsReader(std::string const& folder);

    std::span<SafetensorsFile const> files() const { return files_; }
    /// The path of the index; empty for a single file.
    std::string const& index_path() const { return index_path_; }
    bool has(std::string_view tensor) const;
    /// Of all files together.
    std::size_t bytes() const;

  private:
    void read_shards(std::string const& folder);
    std::vector<SafetensorsFile> files_;
    std::string index_path_;
};

}  // namespace tesserank::io
