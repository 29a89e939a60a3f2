// A tokenizer.json of arbitrary bytes; what follows a zero byte is a text for the tokenizer that
// loads.

#include "io/tokenizer/text_stream.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "io/tokenizer/utf8.hpp"
#include "kernels/error.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using tesserank::io::TextStream;
using tesserank::io::Tokenizer;

void expect(bool condition) {
    if (!condition) std::abort();
}

void check_decoding(Tokenizer const& tokenizer, std::vector<std::int32_t> const& ids) {
    auto const text = tokenizer.decode(ids, Tokenizer::SpecialText::skip);
    expect(tesserank::io::detail::find_invalid_utf8(text) == std::string::npos);
    TextStream stream(tokenizer, Tokenizer::SpecialText::skip);
    std::string grown;
    for (auto const id : ids) grown += stream.append(id);
    grown += stream.finish();
    expect(grown == text);
}

void use(Tokenizer const& tokenizer, std::string_view text) {
    auto const ids = tokenizer.encode(text, Tokenizer::SpecialTokens::add);
    auto const in_vocabulary = [&](auto id) {
        return id >= 0 && static_cast<std::size_t>(id) < tokenizer.vocabulary_size();
    };
    expect(std::all_of(ids.begin(), ids.end(), in_vocabulary));
    expect(tokenizer.encode(text, Tokenizer::SpecialTokens::add) == ids);  // now from the cache
    check_decoding(tokenizer, ids);
    std::vector<std::int32_t> every(std::min<std::size_t>(tokenizer.vocabulary_size(), 64));
    for (std::size_t i = 0; i < every.size(); ++i) every[i] = static_cast<std::int32_t>(i);
    check_decoding(tokenizer, every);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const input(reinterpret_cast<char const*>(data), size);
    auto const end = std::min(input.find('\0'), size);
    try {
        auto const tokenizer = Tokenizer::from_json(input.substr(0, end), "fuzz");
        try {
            use(tokenizer,
                "The  theta \xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80<s> 12 aaaaaaaaaaaaaaaa\n\n");
        } catch (tesserank::kernels::InputError const&) {
        }
        if (end < size) use(tokenizer, input.substr(end + 1));
    } catch (tesserank::kernels::InputError const&) {
    }
    return 0;
}
