#pragma once

#include "io/model_file/convert.hpp"
#include "io/model_file/convert_layout.hpp"
#include "io/model_file/convert_share.hpp"
#include "io/model_file/sha256.hpp"
#include "io/model_file/tensor_writer.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tesserank::io {

/// What a rank learns from the bytes of its share.
struct ConvertFindings {
    std::vector<std::string> hashes;       ///< SHA-256 of each file that it hashes
    std::vector<std::uint64_t> checksums;  ///< of each tensor that it converts, one after the other
};

/// As bytes in a text, and back.
std::string packed(ConvertFindings const& findings);
ConvertFindings unpacked_findings(std::string const& text);

/// As which type a tensor is kept; none: it is no weight.
std::optional<kernels::DType> kept_dtype(ConvertOptions const& options,
                                         SafetensorsTensor const& tensor);

/// Does a rank's share of a conversion.
class ShareCopier {
  public:
    /// What is given by reference must outlive this.
    ShareCopier(ConvertOptions const& options, std::span<SafetensorsFile const> source,
                ConvertLayout const& layout, std::vector<WritableFile> files)
        : options_{options}, source_{source}, layout_{layout}, writer_(std::move(files)) {}

    /// Returns early, with less, once `goes_on` gives false. Errors: InputError for a file that has
    /// changed since its header was read; as reading and writing.
    ConvertFindings run(ConvertShare const& share, std::function<bool()> const& goes_on);

  private:
    void copy_file(SafetensorsFile const& file, FileShare const& share, std::size_t first_tensor,
                   std::function<bool()> const& goes_on);
    /// `dtype`: as which this rank converts it; none: it is only hashed.
    void copy_tensor(InputFile const& file, SafetensorsTensor const& tensor,
                     std::optional<kernels::DType> dtype, std::function<bool()> const& goes_on);
    std::span<std::byte const> read(InputFile const& file, std::size_t offset, std::size_t bytes);

    ConvertOptions const& options_;
    std::span<SafetensorsFile const> source_;
    ConvertLayout const& layout_;
    TensorWriter writer_;
    std::unique_ptr<Sha256> hash_;  ///< of the file that is being read; none: another rank's
    std::size_t done_ = 0, share_bytes_ = 0, total_bytes_ = 0;
    std::vector<std::byte> input_, output_;
    ConvertFindings findings_;
};

}  // namespace tesserank::io
