// Any text as the set.json of a set of model files: refused by an InputError, or an index that is
// written again as it was read.

#include "io/model_file/set_index.hpp"
#include "kernels/error.hpp"
#include "tests/fuzz/check.hpp"

#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace tesserank;
    using fuzz::check;
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    try {
        auto const set = io::parse_set(text, "fuzz");
        check(set.files.size() == io::SetIndex::file_of_rank(set.ranks));
        for (std::size_t i = 0; i < set.files.size(); ++i) {
            check(set.path_of(i) == "fuzz/" + io::set_file_name(i));
        }
        for (auto const& tensor : set.tensors) {
            check(tensor.bytes == io::bytes_of_shape(tensor.shape, tensor.dtype));
            check(tensor.rows() * tensor.cols() == tensor.elements());
        }
        auto const again = io::parse_set(io::set_text(set), "fuzz");
        check(io::set_text(again) == io::set_text(set));
        check(io::model_sha256({}, again.tensors) == io::model_sha256({}, set.tensors));
    } catch (kernels::InputError const&) {
    }
    return 0;
}
