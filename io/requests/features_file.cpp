#include "io/requests/features_file.hpp"

#include "io/hdf5/growing_dataset.hpp"
#include "io/requests/logits_file.hpp"
#include "io/requests/partial_h5.hpp"

#include <utility>

namespace tesserank::io {

struct FeaturesFile::State {
    State(std::string path, std::size_t width)
        : file(std::move(path), "image features"), columns(width) {}

    detail::PartialH5 file;
    std::size_t columns;
};

FeaturesFile::FeaturesFile(std::string path, std::size_t columns)
    : state_(std::make_unique<State>(std::move(path), columns)) {}
FeaturesFile::~FeaturesFile() = default;
FeaturesFile::FeaturesFile(FeaturesFile&&) noexcept = default;

void FeaturesFile::write(std::string_view id, std::size_t picture, std::span<float const> rows) {
    LogitsFile::check_id(id);
    auto const place = "/features/" + std::string(id) + "/" + std::to_string(picture);
    state_->file.run([&] {
        GrowingDataset dataset(state_->file.file(), place, state_->columns);
        dataset.append(rows);
        dataset.close();
    });
}

void FeaturesFile::commit() { state_->file.commit(); }

}  // namespace tesserank::io
