#pragma once

#include <boost/program_options.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tesserank::app {

/// Whether the last word of a command may come several times.
enum class Last : unsigned char { once, repeats };

/// What may stand behind a command's name.
struct Grammar {
    std::string command;                  ///< "convert"
    std::vector<std::string> positional;  ///< names of the words that must be there, in order
    boost::program_options::options_description options;
    Last last = Last::once;  ///< repeats: the value of the last word is a std::vector
};

/// The words by name, the options as declared. nullopt after --help, which goes to standard output
/// if `print_help`. Errors: UsageError for a missing or unknown word.
std::optional<boost::program_options::variables_map> parse_arguments(
    Grammar const& grammar, std::span<std::string const> arguments, bool print_help = true);

/// What a number may be, and that in words: "1 to 2^31".
struct NumberRange {
    long long least, most;
    std::string words;
};

/// A number given by the user, which was declared as long long: Boost reads "-1" as a huge unsigned
/// number, so it is read signed and checked. nullopt where it is not given. Errors: UsageError.
std::optional<std::size_t> number_in(boost::program_options::variables_map const& values,
                                     std::string const& name, NumberRange const& range);

/// A number of bytes given by the user: "512M", "80G"; K, M, G and T are powers of 1024. nullopt
/// where it is not given. Errors: UsageError.
std::optional<std::size_t> bytes_in(boost::program_options::variables_map const& values,
                                    std::string const& name);

}  // namespace tesserank::app
