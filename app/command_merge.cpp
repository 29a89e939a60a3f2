#include "app/arguments.hpp"
#include "app/command.hpp"
#include "app/exit_code.hpp"
#include "app/run_options.hpp"
#include "app/usage_error.hpp"
#include "io/requests/merge_results.hpp"

#include <cstdio>
#include <string>
#include <vector>

namespace tesserank::app {
namespace {

namespace po = boost::program_options;

Grammar grammar() {
    Grammar grammar{"merge", {"RESULTS.jsonl"}, po::options_description("Options"), Last::repeats};
    auto add = grammar.options.add_options();
    add("output,o", po::value<std::string>()->value_name("FILE"),
        "all lines, one file behind the other; - for stdout");
    add("quiet,q", "no summary");
    return grammar;
}

}  // namespace

int run_merge(std::span<std::string const> arguments) {
    auto const values = parse_arguments(grammar(), arguments);
    if (!values) return exit_code::success;
    if (!values->contains("output"))
        throw UsageError("--output is missing: the file for all lines");
    auto const parts = (*values)["RESULTS.jsonl"].as<std::vector<std::string>>();
    auto const path = (*values)["output"].as<std::string>();
    std::vector<NamedFile> files;
    files.reserve(parts.size() + 2);
    for (auto const& part : parts) files.emplace_back("a file to be merged", part);
    add_output(files, "--output", path);
    check_distinct(files);

    io::OutputFile output(path);
    auto const merged = io::merge_results(parts, output);
    output.commit();
    if (!values->contains("quiet")) {
        std::fprintf(stderr, "tesserank: %zu results of %zu files, %zu of them errors\n",
                     merged.results, parts.size(), merged.errors);
    }
    return merged.errors > 0 ? exit_code::some_requests_failed : exit_code::success;
}

}  // namespace tesserank::app
