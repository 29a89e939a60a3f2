#include "io/requests/logits_file.hpp"

#include "io/hdf5/growing_dataset.hpp"
#include "io/requests/json_text.hpp"
#include "io/requests/partial_h5.hpp"
#include "kernels/error.hpp"

#include <map>
#include <utility>

namespace tesserank::io {

struct LogitsFile::State {
    State(std::string path, std::size_t columns)
        : file(std::move(path), "logits"), vocabulary(columns) {}

    detail::PartialH5 file;
    std::size_t vocabulary;
    std::map<std::string, GrowingDataset, std::less<>> open;  ///< dies before the file
};

LogitsFile::LogitsFile(std::string path, std::size_t vocabulary)
    : state_(std::make_unique<State>(std::move(path), vocabulary)) {}
LogitsFile::~LogitsFile() = default;
LogitsFile::LogitsFile(LogitsFile&&) noexcept = default;

void LogitsFile::check_id(std::string_view id) {
    if (id != "." && id != ".." && id.find('/') == id.npos && id.find('\0') == id.npos) return;
    throw kernels::InputError(
        "id: found " + quote_start(id) +
        ", expected one that can name an HDF5 group of --logits or --image-features: "
        "not \".\" or \"..\", no \"/\" and no NUL in it");
}

void LogitsFile::append(std::string_view id, std::span<float const> rows) {
    check_id(id);
    state_->file.run([&] {
        auto found = state_->open.find(id);
        if (found == state_->open.end()) {
            std::string group = "/";
            group.append(id);
            GrowingDataset dataset(state_->file.file(), group + "/logits", state_->vocabulary);
            found = state_->open.emplace(id, std::move(dataset)).first;
        }
        found->second.append(rows);
    });
}

void LogitsFile::finish(std::string_view id) {
    auto const found = state_->open.find(id);
    if (found == state_->open.end()) return;
    auto dataset = std::move(found->second);
    state_->open.erase(found);
    state_->file.run([&] { dataset.close(); });
}

void LogitsFile::commit() {
    state_->file.run([this] {
        for (auto& [id, dataset] : state_->open) dataset.close();
        state_->open.clear();
    });
    state_->file.commit();
}

}  // namespace tesserank::io
