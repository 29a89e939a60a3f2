#include "app/arguments.hpp"
#include "app/command.hpp"
#include "app/exit_code.hpp"
#include "io/input_file.hpp"
#include "io/model_file/model_index.hpp"
#include "io/requests/json_text.hpp"
#include "io/requests/line_reader.hpp"
#include "io/requests/output_file.hpp"
#include "io/requests/request_line.hpp"
#include "io/requests/tokenize_line.hpp"
#include "kernels/error.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

namespace tesserank::app {
namespace {

namespace po = boost::program_options;

Grammar grammar() {
    Grammar grammar{"tokenize", {"MODEL.h5|tokenizer.json"}, po::options_description("Options")};
    auto add = grammar.options.add_options();
    add("decode", "tokens to text; by default text to tokens");
    add("no-special-tokens", "do not add the tokens that the model wants around every text");
    add("keep-special", "decode: write special tokens as text");
    return grammar;
}

bool is_hdf5(std::string const& path) {
    constexpr std::string_view signature = "\x89HDF\r\n\x1A\n";
    io::InputFile const file(path);
    if (file.bytes() < signature.size()) return false;
    std::array<char, signature.size()> start{};
    file.read(0, std::as_writable_bytes(std::span(start)));
    return std::ranges::equal(start, signature);
}

io::Tokenizer load_tokenizer(std::string const& path) {
    constexpr std::size_t most_bytes = std::size_t{1} << 30;
    if (!is_hdf5(path)) {
        return io::Tokenizer::from_json(io::read_text_file(path, most_bytes), path);
    }
    auto const documents = io::read_model_index(path).documents;
    auto const found = documents.find("tokenizer");
    if (found == documents.end()) {
        throw kernels::InputError(
            path + " has no /tokenizer: the folder it was converted from had no tokenizer.json");
    }
    return io::Tokenizer::from_json(found->second, path + ": /tokenizer");
}

io::TokenizedLine answer(io::LineReader const& lines, io::Tokenizer const& tokenizer,
                         io::TokenizeOptions const& options) {
    if (!lines.too_long()) {
        return io::tokenize_line(lines.text(), lines.line(), tokenizer, options);
    }
    auto const message = "line " + std::to_string(lines.line()) + ": longer than 64 MiB";
    return {.json = io::JsonObject().add_null("id").add("error", message).close(), .failed = true};
}

}  // namespace

int run_tokenize(std::span<std::string const> arguments) {
    auto const values = parse_arguments(grammar(), arguments);
    if (!values) return exit_code::success;
    io::TokenizeOptions options;
    if (values->contains("decode")) options.direction = io::TokenizeDirection::decode;
    if (values->contains("no-special-tokens")) {
        options.special_tokens = io::Tokenizer::SpecialTokens::omit;
    }
    if (values->contains("keep-special")) options.special_text = io::Tokenizer::SpecialText::keep;
    auto const tokenizer = load_tokenizer((*values)["MODEL.h5|tokenizer.json"].as<std::string>());

    io::LineReader lines("-", io::longest_request_line);
    io::OutputFile output("-");
    bool some_failed = false;
    while (lines.next()) {
        if (lines.is_blank()) continue;
        auto const result = answer(lines, tokenizer, options);
        output.write(result.json + '\n');
        some_failed = some_failed || result.failed;
    }
    output.commit();
    return some_failed ? exit_code::some_requests_failed : exit_code::success;
}

}  // namespace tesserank::app
