#include "app/run_options.hpp"

#include "app/usage_error.hpp"

#include <boost/program_options.hpp>

#include <iostream>
#include <vector>

namespace tesserank::app {
namespace {

namespace po = boost::program_options;

/// A count given by the user: Boost reads "-1" as a huge unsigned number, so it is read signed and
/// checked.
struct Count {
    std::string_view name;
    std::optional<std::size_t>* target;
};

void read_count(po::variables_map const& values, Count count) {
    auto const& value = values[std::string(count.name)];
    if (value.empty()) return;
    auto const number = value.as<long long>();
    if (number < 1 || number > (1LL << 31)) {
        throw UsageError("--" + std::string(count.name) + " is " + std::to_string(number) +
                         ", expected an integer from 1 to 2^31");
    }
    *count.target = static_cast<std::size_t>(number);
}

po::options_description describe(RunOptions& options) {
    po::options_description description("Options");
    auto add = description.add_options();
    add("input,i", po::value(&options.input)->value_name("FILE"),
        "requests, one JSON object per line; - for stdin");
    add("output,o", po::value(&options.output)->value_name("FILE"),
        "results, in the order of the input; - for stdout");
    add("logits", po::value(&options.logits)->value_name("FILE.h5"),
        "also write the logits: /<id>/logits");
    add("placement", po::value(&options.placement)->value_name("PRESET"),
        "shard, replicate or replicate-attention");
    add("backend", po::value(&options.backend)->value_name("NAME"), "auto, kokkos or reference");
    add("comm", po::value(&options.comm)->value_name("NAME"), "auto or mpi");
    add("dtype", po::value(&options.dtype)->value_name("TYPE"),
        "what GEMMs read besides weights, and the KV cache: f32 (auto) or bf16");
    add("batch", po::value<long long>()->value_name("N"),
        "sequences that run together; by default what fits");
    add("max-length", po::value<long long>()->value_name("N"),
        "most tokens of a sequence, prompt included");
    add("max-new-tokens", po::value<long long>()->value_name("N"), "for requests that do not say");
    add("prefill-chunk", po::value<long long>()->value_name("N"),
        "prompt tokens per forward pass (512)");
    add("seed", po::value(&options.seed)->value_name("N"), "for requests that do not say (0)");
    add("quiet,q", po::bool_switch(&options.quiet), "no progress and no summary");
    add("log-json", po::bool_switch(&options.log_json), "progress as JSON lines on stderr");
    add("help,h", "this text");
    return description;
}

void check(RunOptions const& options) {
    auto const one_of = [](std::string_view name, std::string const& value,
                           std::initializer_list<std::string_view> allowed,
                           std::string_view expected) {
        for (auto const word : allowed) {
            if (word == value) return;
        }
        throw UsageError("--" + std::string(name) + " is \"" + value + "\", expected " +
                         std::string(expected));
    };
    one_of("backend", options.backend, {"auto", "kokkos", "reference"},
           "auto, kokkos or reference (this build)");
    one_of("comm", options.comm, {"auto", "mpi"}, "auto or mpi (this build)");
    one_of("dtype", options.dtype, {"auto", "f32", "bf16"}, "auto, f32 or bf16");
    if (options.input.empty())
        throw UsageError("--input is missing: the file of requests, or - for stdin");
    if (options.output.empty())
        throw UsageError("--output is missing: the file for results, or - for stdout");
}

}  // namespace

std::optional<RunOptions> parse_run_options(std::string_view command,
                                            std::span<std::string const> arguments,
                                            bool print_help) {
    RunOptions options;
    auto const visible = describe(options);
    po::options_description all;
    all.add(visible).add_options()("model", po::value(&options.model));
    po::positional_options_description positional;
    positional.add("model", 1);
    po::variables_map values;
    try {
        std::vector<std::string> const list(arguments.begin(), arguments.end());
        po::store(po::command_line_parser(list).options(all).positional(positional).run(), values);
        po::notify(values);
    } catch (po::error const& error) {
        throw UsageError(error.what());
    }
    if (values.contains("help")) {
        if (print_help) {
            std::cout << "Usage: mpirun -n N tesserank " << command
                      << " MODEL.h5 --input FILE --output FILE [options]\n\n"
                      << visible;
        }
        return std::nullopt;
    }
    if (options.model.empty())
        throw UsageError("the model file is missing: tesserank " + std::string(command) +
                         " MODEL.h5");
    std::optional<std::size_t> chunk = options.prefill_chunk;
    for (auto const& count :
         {Count{"batch", &options.batch}, Count{"max-length", &options.max_length},
          Count{"max-new-tokens", &options.max_new_tokens}, Count{"prefill-chunk", &chunk}}) {
        read_count(values, count);
    }
    options.prefill_chunk = *chunk;
    check(options);
    return options;
}

}  // namespace tesserank::app
