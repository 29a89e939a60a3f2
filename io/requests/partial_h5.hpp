#pragma once

#include "io/hdf5/error.hpp"
#include "io/hdf5/file.hpp"
#include "io/requests/partial_file.hpp"
#include "kernels/error.hpp"

#include <string>
#include <utility>

namespace tesserank::io::detail {

/// An HDF5 file of results, which has its name only when it is complete: see PartialFile.
class PartialH5 {
  public:
    /// `content` is what it holds, for messages: "logits". Errors: InputError if no file can be
    /// made there.
    PartialH5(std::string path, std::string content)
        : partial_(std::move(path)), content_(std::move(content)) {
        // HDF5 says little about a folder that is missing or may not be written.
        partial_.create();
        run([this] { file_ = create_h5(partial_.partial()); });
    }

    hid_t file() const { return file_.get(); }

    /// Runs `work`. Errors: SystemError with HDF5's text and the name of the file.
    void run(auto work) {
        try {
            work();
        } catch (H5Error const& error) {
            throw kernels::SystemError(partial_.path() + ": " + content_ +
                                       " cannot be written: " + error.what());
        }
    }

    /// Makes the file durable and gives it its name; every data set is closed.
    void commit() {
        run([this] { close_h5(std::move(file_)); });
        partial_.commit();
    }

  private:
    PartialFile partial_;
    std::string content_;
    H5File file_;
};

}  // namespace tesserank::io::detail
