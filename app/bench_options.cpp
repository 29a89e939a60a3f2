#include "app/bench_options.hpp"

#include "app/arguments.hpp"
#include "app/device_options.hpp"
#include "app/plan_options.hpp"
#include "app/run_options.hpp"
#include "app/usage_error.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <string_view>
#include <system_error>

namespace tesserank::app {
namespace {

namespace po = boost::program_options;

constexpr std::size_t most_in_list = std::size_t{1} << 16;
NumberRange const tokens{1, 1LL << 24, "1 to 2^24"};
NumberRange const runs{1, 1000, "1 to 1000"};
NumberRange const warmups{0, 1000, "0 to 1000"};

Grammar grammar(BenchOptions& options) {
    Grammar grammar{"bench", {"MODEL.h5|config.json"}, po::options_description("Options")};
    auto add = grammar.options.add_options();
    add("placement", po::value<std::vector<std::string>>()->value_name("WISH"),
        "what to measure, as often as you like: presets, rules or plan files (shard)");
    add("batch", po::value<std::string>()->value_name("N,N"), "sequences of each batch (1,8)");
    add("tiles", po::value<std::string>()->value_name("N,N"),
        "measure how a vision encoder encodes so many tiles; then no batches unless --batch is "
        "given");
    add("prompt", po::value<long long>()->value_name("N"), "tokens of each prompt (128)");
    add("new", po::value<long long>()->value_name("N"), "new tokens of each sequence (32)");
    add("repeat", po::value<long long>()->value_name("N"),
        "measured runs of each plan and batch, the plans in turn (5)");
    add("warmup", po::value<long long>()->value_name("N"), "runs before them (1)");
    add("prefill-chunk", po::value<long long>()->value_name("N"),
        "prompt tokens per forward pass (512)");
    add("dtype", po::value(&options.dtype)->value_name("TYPE"),
        "what GEMMs read besides weights, and the KV cache: f32 (auto) or bf16");
    add("weights", po::value(&options.weights)->value_name("FORMAT"), weights_help);
    add("backend", po::value(&options.backend)->value_name("NAME"), backend_help);
    add("comm", po::value(&options.comm)->value_name("NAME"), comm_help);
    add_fused_options(grammar.options, options.fused);
    add_watch_options(grammar.options, options.watch);
    add("json", po::value(&options.json)->value_name("FILE"),
        "the result for programs; - for stdout, without the table");
    add("quiet,q", po::bool_switch(&options.quiet), "no progress");
    return grammar;
}

std::vector<std::size_t> list_in(std::string const& option, std::string_view text) {
    std::vector<std::size_t> numbers;
    for (std::size_t begin = 0; begin <= text.size();) {
        std::size_t const end = std::min(text.find(',', begin), text.size());
        auto const word = text.substr(begin, end - begin);
        std::size_t number = 0;
        auto const [stop, error] = std::from_chars(word.data(), word.data() + word.size(), number);
        bool const whole = error == std::errc{} && stop == word.data() + word.size();
        if (!whole || number == 0 || number > most_in_list) {
            throw UsageError("--" + option + " is \"" + std::string(text) +
                             "\", expected integers from 1 to 2^16 with commas between them");
        }
        numbers.push_back(number);
        begin = end + 1;
    }
    return numbers;
}

void check_word(std::string const& name, std::string const& word,
                std::span<std::string_view const> allowed, std::string const& expected) {
    if (std::ranges::find(allowed, word) != allowed.end()) return;
    throw UsageError("--" + name + " is \"" + word + "\", expected " + expected);
}

void check(BenchOptions const& options) {
    if (std::ranges::find(options.placements, automatic) != options.placements.end()) {
        throw UsageError(
            "bench measures plans that are given: write the plan of auto with "
            "`tesserank plan --plan-out FILE.json` and measure that file");
    }
    constexpr std::array<std::string_view, 3> dtypes{"auto", "f32", "bf16"};
    check_backend_word(options.backend);
    check_comm_word(options.comm);
    check_word("dtype", options.dtype, dtypes, "auto, f32 or bf16");
    static_cast<void>(weight_format_of(options.weights));
}

}  // namespace

std::optional<BenchOptions> parse_bench_options(std::span<std::string const> arguments,
                                                bool print_help) {
    BenchOptions options;
    auto values = parse_arguments(grammar(options), arguments, print_help);
    if (!values) return std::nullopt;
    po::notify(*values);
    options.model = (*values)["MODEL.h5|config.json"].as<std::string>();
    if (values->contains("placement")) {
        options.placements = (*values)["placement"].as<std::vector<std::string>>();
    }
    if (values->contains("tiles")) {
        options.tiles = list_in("tiles", (*values)["tiles"].as<std::string>());
        options.batches.clear();
    }
    if (values->contains("batch")) {
        options.batches = list_in("batch", (*values)["batch"].as<std::string>());
    }
    options.prompt = number_in(*values, "prompt", tokens).value_or(options.prompt);
    options.new_tokens = number_in(*values, "new", tokens).value_or(options.new_tokens);
    options.repeat = number_in(*values, "repeat", runs).value_or(options.repeat);
    options.warmup = number_in(*values, "warmup", warmups).value_or(options.warmup);
    options.prefill_chunk =
        number_in(*values, "prefill-chunk", tokens).value_or(options.prefill_chunk);
    read_fused_options(*values, options.fused);
    read_watch_options(*values, options.json, options.watch);
    check(options);
    return options;
}

void check_paths(BenchOptions const& options) {
    std::vector<NamedFile> files{{"the model", options.model},
                                 {"the model's config", options.model + "/config.json"}};
    std::vector<std::string> plans;
    std::ranges::copy_if(options.placements, std::back_inserter(plans), names_plan_file);
    // One plan may be measured twice.
    std::ranges::sort(plans);
    auto const repeated = std::ranges::unique(plans);
    plans.erase(repeated.begin(), repeated.end());
    for (auto const& plan : plans) files.emplace_back("--placement", plan);
    if (!options.json.empty()) add_output(files, "--json", options.json);
    check_distinct(files);
    check_outside_set(std::span(files).subspan(2), options.model);
}

}  // namespace tesserank::app
