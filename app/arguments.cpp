#include "app/arguments.hpp"

#include "app/usage_error.hpp"

#include <charconv>
#include <iostream>
#include <string_view>
#include <system_error>

namespace tesserank::app {
namespace {

namespace po = boost::program_options;

std::string usage_of(Grammar const& grammar) {
    auto usage = "tesserank " + grammar.command;
    for (auto const& word : grammar.positional) usage += " " + word;
    if (grammar.last == Last::repeats) usage += " ...";
    return usage + " [options]";
}

po::variables_map parse(Grammar const& grammar, std::span<std::string const> arguments) {
    po::options_description all;
    all.add(grammar.options).add_options()("help,h", "");
    po::positional_options_description positional;
    for (auto const& word : grammar.positional) {
        bool const repeats = grammar.last == Last::repeats && word == grammar.positional.back();
        if (repeats) {
            all.add_options()(word.c_str(), po::value<std::vector<std::string>>());
        } else {
            all.add_options()(word.c_str(), po::value<std::string>());
        }
        positional.add(word.c_str(), repeats ? -1 : 1);
    }
    // No guessing: an abbreviation would change its meaning with the next option that is added.
    auto const style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    po::variables_map values;
    po::store(po::command_line_parser({arguments.begin(), arguments.end()})
                  .options(all)
                  .positional(positional)
                  .style(style)
                  .run(),
              values);
    return values;
}

}  // namespace

std::optional<po::variables_map> parse_arguments(Grammar const& grammar,
                                                 std::span<std::string const> arguments,
                                                 bool print_help) {
    auto const fail = [&](std::string const& message) {
        throw UsageError(message + "; usage: " + usage_of(grammar));
    };
    po::variables_map values;
    try {
        values = parse(grammar, arguments);
    } catch (po::error const& error) {
        fail(error.what());
    }
    if (values.contains("help")) {
        if (print_help) std::cout << "Usage: " << usage_of(grammar) << "\n\n" << grammar.options;
        return std::nullopt;
    }
    for (auto const& word : grammar.positional) {
        if (!values.contains(word)) fail(word + " is missing");
    }
    return values;
}

std::optional<std::size_t> number_in(po::variables_map const& values, std::string const& name,
                                     NumberRange const& range) {
    auto const& value = values[name];
    if (value.empty()) return std::nullopt;
    auto const number = value.as<long long>();
    if (number < range.least || number > range.most) {
        throw UsageError("--" + name + " is " + std::to_string(number) +
                         ", expected an integer from " + range.words);
    }
    return static_cast<std::size_t>(number);
}

std::optional<std::size_t> bytes_in(po::variables_map const& values, std::string const& name) {
    if (!values.contains(name)) return std::nullopt;
    auto const& text = values[name].as<std::string>();
    std::size_t number = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    std::string_view unit(end, text.data() + text.size());
    if (unit.ends_with("iB")) unit.remove_suffix(2);
    constexpr std::string_view units = "KMGT";
    auto const power = unit.size() == 1 ? units.find(unit) : std::string_view::npos;
    std::size_t const shift = power == std::string_view::npos ? 0 : 10 * (power + 1);
    bool const known = unit.empty() || shift > 0;
    if (error != std::errc{} || number == 0 || !known || number > (std::size_t{1} << 60) >> shift) {
        throw UsageError("--" + name + " is \"" + text +
                         "\", expected a number of bytes such as 512M or 80G");
    }
    return number << shift;
}

}  // namespace tesserank::app
