// How fast a tokenizer encodes and decodes: tokenizer_bench TOKENIZER.json [TEXT_FILE]
//
// Prints MB/s (1e6 bytes of text per second of processor time, one thread), the median of 5 runs
// with the range, for the text as a whole and line by line. Without a file the text is 4 MB of
// made-up English.

#include "io/tokenizer/tokenizer.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace {

using tesserank::io::Tokenizer;

std::string read(char const* path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error(std::string("cannot open ") + path);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// Words of one to four syllables, the short ones often, in sentences and paragraphs.
std::string made_up_english(std::size_t bytes) {
    constexpr std::array<char const*, 24> syllables = {
        "the", "of", "and", "to", "in",  "con", "is", "ter", "that", "for", "it",  "ing",
        "er",  "as", "re",  "on", "ver", "be",  "at", "ly",  "tion", "his", "per", "en"};
    std::mt19937 random(1);
    std::geometric_distribution<std::size_t> rank(0.12);
    std::string text;
    for (std::size_t word = 1; text.size() < bytes; ++word) {
        for (auto left = 1 + random() % 100 / 60 + random() % 100 / 80; left > 0; --left) {
            text += syllables.at(std::min(rank(random), syllables.size() - 1));
        }
        text += word % 160 == 0 ? ".\n\n" : word % 13 == 0 ? ", " : word % 10 == 0 ? ".\n" : " ";
    }
    return text;
}

template <class Work>
void report(char const* what, std::size_t bytes, Work work) {
    std::array<double, 5> rates{};
    for (auto& rate : rates) {
        auto const start = std::clock();
        work();
        auto const seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
        rate = static_cast<double>(bytes) / 1e6 / seconds;
    }
    std::sort(rates.begin(), rates.end());
    std::printf("%-22s %7.1f MB/s  (%.1f to %.1f)\n", what, rates[2], rates.front(), rates.back());
}

void run(std::span<char* const> arguments) {
    auto const tokenizer = Tokenizer::from_json(read(arguments[1]), arguments[1]);
    auto const text = arguments.size() > 2 ? read(arguments[2]) : made_up_english(4'000'000);
    auto const encode = [&](std::string_view part) {
        return tokenizer.encode(part, Tokenizer::SpecialTokens::omit);
    };
    auto const tokens = encode(text);
    std::printf("%zu bytes, %zu tokens\n", text.size(), tokens.size());
    report("encode, whole text", text.size(), [&] { encode(text); });
    report("encode, line by line", text.size(), [&] {
        for (std::size_t begin = 0; begin < text.size();) {
            auto const end = std::min(text.find('\n', begin), text.size() - 1) + 1;
            encode(std::string_view(text).substr(begin, end - begin));
            begin = end;
        }
    });
    report("decode", text.size(), [&] { tokenizer.decode(tokens, Tokenizer::SpecialText::keep); });
}

}  // namespace

int main(int count, char** values) {
    std::span<char* const> const arguments(values, static_cast<std::size_t>(count));
    if (count < 2) {
        std::cerr << "usage: tokenizer_bench TOKENIZER.json [TEXT_FILE]\n";
        return 1;
    }
    try {
        run(arguments);
    } catch (std::exception const& error) {
        std::cerr << error.what() << '\n';
        return 2;
    }
}
