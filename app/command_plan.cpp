#include "app/arguments.hpp"
#include "app/command.hpp"
#include "app/exit_code.hpp"
#include "app/plan_options.hpp"
#include "app/plan_page.hpp"
#include "app/plan_table.hpp"
#include "app/run_options.hpp"
#include "io/plan_file.hpp"
#include "io/plan_report.hpp"
#include "io/requests/output_file.hpp"
#include "model/batch_limits.hpp"

#include <algorithm>
#include <iostream>

namespace tesserank::app {
namespace {

namespace po = boost::program_options;

Grammar grammar() {
    Grammar grammar{"plan", {"MODEL.h5|config.json"}, po::options_description("Options")};
    auto add = grammar.options.add_options();
    add("ranks", po::value<long long>()->value_name("N"), "ranks of the job");
    add("placement", po::value<std::string>()->value_name("WISH")->default_value("shard"),
        "a preset (shard, replicate, split-batch, replicate-attention, split-batch-attention), "
        "rules such as '*.attention=replicate,lm_head=single:0', or a plan file");
    add("batch", po::value<long long>()->value_name("N"), "sequences that run together (8)");
    add("prompt", po::value<long long>()->value_name("N"), "tokens of each prompt (128)");
    add("new", po::value<long long>()->value_name("N"), "new tokens of each sequence (128)");
    add("prefill-chunk", po::value<long long>()->value_name("N"),
        "prompt tokens per forward pass (512)");
    add("dtype", po::value<std::string>()->value_name("TYPE")->default_value("f32"),
        "what GEMMs read besides weights, and the KV cache: f32 or bf16");
    add("json", "everything as one JSON object, for programs");
    add("html", po::value<std::string>()->value_name("FILE.html"),
        "write the plan as one self-contained page for a browser");
    add("plan-out", po::value<std::string>()->value_name("FILE.json"),
        "write the plan, for --placement of generate and score");
    return grammar;
}

std::size_t count_in(po::variables_map const& values, std::string const& name,
                     std::size_t otherwise, long long most) {
    return number_in(values, name, {1, most, "1 to " + std::to_string(most)}).value_or(otherwise);
}

/// Nothing that is written may replace what is read, or another output.
void check_files(po::variables_map const& values, std::string const& model) {
    std::vector<NamedFile> files{{"the model", model},
                                 {"the model's config", model + "/config.json"}};
    auto const& wish = values["placement"].as<std::string>();
    if (names_plan_file(wish)) files.emplace_back("--placement", wish);
    int to_stdout = values.contains("json") ? 1 : 0;
    for (std::string const name : {"plan-out", "html"}) {
        if (!values.contains(name)) continue;
        auto const& path = values[name].as<std::string>();
        if (path == "-") ++to_stdout;
        add_output(files, "--" + name, path);
    }
    if (to_stdout > 1) throw UsageError("only one of --json, --html and --plan-out can be -");
    check_distinct(files);
}

/// By default 128 tokens and 128 new ones, or what a smaller context has room for.
model::Workload workload_in(po::variables_map const& values, model::DecoderConfig const& config) {
    constexpr std::size_t usual = 128, most_tokens = std::size_t{1} << 30;
    model::Workload workload{.batch = count_in(values, "batch", 8, 1 << 16)};
    workload.prompt =
        count_in(values, "prompt", std::clamp<std::size_t>(config.context / 2, 1, usual), 1 << 24);
    std::size_t const left = config.context - std::min(config.context, workload.prompt);
    workload.new_tokens = count_in(values, "new", std::clamp<std::size_t>(left, 1, usual), 1 << 24);
    std::size_t const length = workload.prompt + workload.new_tokens;
    if (length > config.context) {
        throw UsageError("--prompt and --new make sequences of " + std::to_string(length) +
                         " tokens, but the model's context is " + std::to_string(config.context));
    }
    if (workload.batch * length > most_tokens) {
        throw UsageError("--batch " + std::to_string(workload.batch) + " of " +
                         std::to_string(length) + " tokens each is beyond 2^30 tokens in all");
    }
    return workload;
}

void write_file(std::string const& path, std::string_view text) {
    io::OutputFile file(path);
    file.write(text);
    file.commit();
}

kernels::DType compute_in(po::variables_map const& values) {
    auto const& name = values["dtype"].as<std::string>();
    if (name == "f32") return kernels::DType::f32;
    if (name == "bf16") return kernels::DType::bf16;
    throw UsageError("--dtype is \"" + name + "\", expected f32 or bf16");
}

}  // namespace

int run_plan(std::span<std::string const> arguments) {
    auto const parsed = parse_arguments(grammar(), arguments);
    if (!parsed) return exit_code::success;
    auto const& values = *parsed;
    constexpr long long most_ranks = 4096, most_chunk = 1LL << 24;
    if (!values.contains("ranks")) throw UsageError("--ranks is missing: how many ranks will run");
    auto const ranks = static_cast<int>(count_in(values, "ranks", 1, most_ranks));
    auto const& path = values["MODEL.h5|config.json"].as<std::string>();
    check_files(values, path);
    auto const model = open_for_planning(path);
    auto const workload = workload_in(values, model.config);
    auto const options = forward_options(model.config, compute_in(values),
                                         count_in(values, "prefill-chunk", 512, most_chunk));
    auto const plan =
        plan_for(model.config, values["placement"].as<std::string>(), ranks, options.compute);
    auto const facts = model::facts_of(model.config, plan, options, workload, model.dtype_of);
    if (values.contains("plan-out")) {
        write_file(values["plan-out"].as<std::string>(),
                   io::plan_text(plan, model::describe_modules(model.config)));
    }
    if (values.contains("html")) {
        auto const& page = values["html"].as<std::string>();
        write_file(page, plan_page(facts, model.title));
        if (page == "-") return exit_code::success;
    }
    if (values.contains("json")) {
        std::cout << io::plan_report_json(facts, model.title) << '\n';
    } else {
        print_plan(std::cout, facts, model.title);
    }
    return exit_code::success;
}

}  // namespace tesserank::app
