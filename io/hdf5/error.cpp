#include "io/hdf5/error.hpp"

#include "io/hdf5/start.hpp"

#include <algorithm>

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

/// Of "file write failed: time = ..., errno = 28, error message = '...', buf = 0x..., ..." only the
/// message helps.
std::string shorten(std::string const& text) {
    constexpr std::string_view mark = "error message = '";
    auto const begin = text.find(mark);
    auto shorter = begin == std::string::npos ? text : text.substr(begin + mark.size());
    if (begin != std::string::npos) shorter = shorter.substr(0, shorter.find('\''));
    std::ranges::replace(shorter, '\n', ' ');
    return shorter;
}

}  // namespace

void start_h5() {
    H5dont_atexit();
    H5open();
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

void throw_h5(std::string_view what) {
    Words words;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, collect, &words);
    H5Eclear2(H5E_DEFAULT);
    auto text = std::string(what) + ": HDF5 says: " + shorten(words.outermost);
    if (words.innermost != words.outermost) text += ": " + shorten(words.innermost);
    throw H5Error(text);
}

}  // namespace tesserank::io
