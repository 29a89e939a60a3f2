#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace tesserank::io {

/// The HDF5 file of --image-features: `/features/<id>/<picture>` [tiles * features of a tile,
/// hidden size of the text model] f32, what stands in the prompt in place of that picture's
/// placeholders; pictures count from 0. Grows under "<path>.partial" like OutputFile.
class FeaturesFile {
  public:
    /// Errors: InputError if no file can be made there.
    FeaturesFile(std::string path, std::size_t columns);
    ~FeaturesFile();
    FeaturesFile(FeaturesFile&&) noexcept;

    /// The rows of a picture, all of them. Errors: InputError like LogitsFile::check_id;
    /// SystemError with HDF5's text.
    void write(std::string_view id, std::size_t picture, std::span<float const> rows);
    /// Makes the file durable and gives it its name.  Errors: SystemError.
    void commit();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace tesserank::io
