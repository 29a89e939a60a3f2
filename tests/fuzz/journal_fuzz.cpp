// A journal of arbitrary bytes, and the same lines each behind its right check, so that what they
// say is reached. What is taken of it is taken again when a run that goes on has cut off the rest.

#include "io/journal/journal.hpp"
#include "io/model_file/checksum.hpp"
#include "kernels/error.hpp"
#include "tests/fuzz/memory_file.hpp"

#include <array>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

namespace {

using namespace tesserank;
using fuzz::check;

std::string with_checks(std::string_view text) {
    std::string checked;
    while (!text.empty()) {
        auto const line = text.substr(0, text.find('\n'));
        std::array<char, 18> digits{};
        std::snprintf(digits.data(), digits.size(), "%016" PRIx64 " ",
                      io::checksum_of(std::as_bytes(std::span(line))));
        checked.append(digits.data()).append(line) += '\n';
        text.remove_prefix(std::min(line.size() + 1, text.size()));
    }
    return checked;
}

void read(std::string_view text) {
    static fuzz::MemoryFile const file;
    file.write(text);
    try {
        auto const content = io::read_journal(file.path());
        if (!content) return;
        check(content->bytes > 0 && content->bytes <= text.size());
        file.write(text.substr(0, content->bytes));
        auto const again = io::read_journal(file.path());
        check(again && again->bytes == content->bytes && again->progress == content->progress);
        check(io::difference(again->identity.bound, content->identity.bound).empty());
        check(io::difference(again->identity.loose, content->identity.loose).empty());
    } catch (kernels::InputError const&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    read(text);
    read(with_checks(text));
    return 0;
}
