#include "io/requests/logits_file.hpp"

#include "io/hdf5/error.hpp"
#include "io/hdf5/file.hpp"
#include "io/hdf5/growing_dataset.hpp"
#include "io/requests/json_text.hpp"
#include "io/requests/partial_file.hpp"
#include "kernels/error.hpp"

#include <map>
#include <utility>

namespace tesserank::io {
struct LogitsFile::State {
    State(std::string path, std::size_t columns) : partial(std::move(path)), vocabulary(columns) {
        // HDF5 says little about a folder that is missing or may not be written.
        partial.create();
        run([this] { file = create_h5(partial.partial()); });
    }

    PartialFile partial;
    H5File file;
    std::size_t vocabulary;
    std::map<std::string, GrowingDataset, std::less<>> open;  ///< dies before the file

    /// Runs `work`; HDF5's error gets the name of the file.
    void run(auto work) {
        try {
            work();
        } catch (H5Error const& error) {
            throw kernels::SystemError(partial.path() +
                                       ": logits cannot be written: " + error.what());
        }
    }
};

LogitsFile::LogitsFile(std::string path, std::size_t vocabulary)
    : state_(std::make_unique<State>(std::move(path), vocabulary)) {}
LogitsFile::~LogitsFile() = default;
LogitsFile::LogitsFile(LogitsFile&&) noexcept = default;

void LogitsFile::check_id(std::string_view id) {
    if (id != "." && id != ".." && id.find('/') == id.npos && id.find('\0') == id.npos) return;
    throw kernels::InputError("id: found " + quote_start(id) +
                              ", expected one that can name an HDF5 group, as logits are written: "
                              "not \".\" or \"..\", no \"/\" and no NUL in it");
}

void LogitsFile::append(std::string_view id, std::span<float const> rows) {
    check_id(id);
    state_->run([&] {
        auto found = state_->open.find(id);
        if (found == state_->open.end()) {
            std::string group = "/";
            group.append(id);
            GrowingDataset dataset(state_->file.get(), group + "/logits", state_->vocabulary);
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
    state_->run([&] { dataset.close(); });
}

void LogitsFile::commit() {
    state_->run([this] {
        for (auto& [id, dataset] : state_->open) dataset.close();
        state_->open.clear();
        close_h5(std::move(state_->file));
    });
    state_->partial.commit();
}

}  // namespace tesserank::io
