// Arbitrary bytes as text and as token ids for the golden tokenizers; the first byte picks one.

#include "io/tokenizer/text_stream.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "io/tokenizer/utf8.hpp"
#include "kernels/error.hpp"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace {

using tesserank::io::TextStream;
using tesserank::io::Tokenizer;
using tesserank::io::detail::find_invalid_utf8;

void expect(bool condition) {
    if (!condition) std::abort();
}

Tokenizer load(std::string const& name) {
    auto const path =
        std::string(TESSERANK_SOURCE_DIR) + "/tests/golden/tokenizers/" + name + "/tokenizer.json";
    std::ifstream file(path, std::ios::binary);
    return Tokenizer::from_json(std::string(std::istreambuf_iterator<char>(file), {}), path);
}

/// gpt2 and llama3 first: they lose nothing, so that decoding must give the text back.
std::array<Tokenizer, 5> const& tokenizers() {
    static std::array<Tokenizer, 5> const all{load("gpt2"), load("llama3"), load("qwen2"),
                                              load("spm-llama2"), load("spm-mistral")};
    return all;
}
constexpr std::size_t lossless = 2;

void check_decoding(Tokenizer const& tokenizer, std::vector<std::int32_t> const& ids) {
    auto const text = tokenizer.decode(ids, Tokenizer::SpecialText::skip);
    expect(find_invalid_utf8(text) == std::string::npos);
    TextStream stream(tokenizer, Tokenizer::SpecialText::skip);
    std::string grown;
    for (auto const id : ids) {
        auto const part = stream.append(id);
        expect(find_invalid_utf8(part) == std::string::npos);
        grown += part;
    }
    grown += stream.finish();
    expect(grown == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    if (size == 0) return 0;
    auto const which = data[0] % tokenizers().size();
    auto const& tokenizer = tokenizers().at(which);
    std::string_view const text(reinterpret_cast<char const*>(data) + 1, size - 1);
    try {
        auto const ids = tokenizer.encode(text, Tokenizer::SpecialTokens::omit);
        expect(find_invalid_utf8(text) == std::string::npos);
        auto const back = tokenizer.decode(ids, Tokenizer::SpecialText::keep);
        expect(which >= lossless || back == text);
        check_decoding(tokenizer, ids);
    } catch (tesserank::kernels::InputError const&) {
        expect(find_invalid_utf8(text) != std::string::npos);
    }
    std::vector<std::int32_t> ids;
    for (std::size_t i = 2; i < size; i += 2) {
        auto const number = static_cast<std::size_t>(data[i - 1]) << 8 | data[i];
        ids.push_back(static_cast<std::int32_t>(number % tokenizer.vocabulary_size()));
    }
    check_decoding(tokenizer, ids);
    return 0;
}
