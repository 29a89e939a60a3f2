#include "io/hdf5/error.hpp"

namespace tesserank::io {
namespace {

struct Words {
    std::string outermost, innermost;
};

/// Called from the outermost frame to the innermost.
herr_t collect(unsigned /*index*/, H5E_error2_t const* frame, void* data) {
    auto& words = *static_cast<Words*>(data);
    std::string const text = frame->desc == nullptr ? "" : frame->desc;
    if (words.outermost.empty()) words.outermost = text;
    words.innermost = text;
    return 0;
}

}  // namespace

void silence_h5() {
    H5open();
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

void throw_h5(std::string_view what) {
    Words words;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, collect, &words);
    H5Eclear2(H5E_DEFAULT);
    auto text = std::string(what) + ": HDF5 says: " + words.outermost;
    if (words.innermost != words.outermost) text += ": " + words.innermost;
    throw H5Error(text);
}

}  // namespace tesserank::io
