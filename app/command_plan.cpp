#include "app/arguments.hpp"
#include "app/command.hpp"
#include "app/exit_code.hpp"
#include "app/plan_options.hpp"
#include "app/plan_page.hpp"
#include "app/plan_table.hpp"
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

std::size_t count_in(po::variables_map const& values, char const* name, std::size_t otherwise,
                     long long most) {
    if (!values.contains(name)) return otherwise;
    auto const number = values[name].as<long long>();
    if (number < 1 || number > most) {
        throw UsageError("--" + std::string(name) + " is " + std::to_string(number) +
                         ", expected an integer from 1 to " + std::to_string(most));
    }
    return static_cast<std::size_t>(number);
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
    constexpr long long most_ranks = 4096, most_tokens = 1LL << 24;
    if (!values.contains("ranks")) throw UsageError("--ranks is missing: how many ranks will run");
    auto const ranks = static_cast<int>(count_in(values, "ranks", 1, most_ranks));
    model::Workload const workload{.batch = count_in(values, "batch", 8, 1 << 20),
                                   .prompt = count_in(values, "prompt", 128, most_tokens),
                                   .new_tokens = count_in(values, "new", 128, most_tokens),
                                   .candidates = 1};
    auto const model = open_for_planning(values["MODEL.h5|config.json"].as<std::string>());
    auto const options = forward_options(model.config, compute_in(values),
                                         count_in(values, "prefill-chunk", 512, most_tokens));
    auto const plan =
        plan_for(model.config, values["placement"].as<std::string>(), ranks, options.compute);
    auto const facts = model::facts_of(model.config, plan, options, workload, model.dtype_of);
    if (values.contains("plan-out")) {
        write_file(values["plan-out"].as<std::string>(),
                   io::plan_text(plan, model::describe_modules(model.config)));
    }
    if (values.contains("html")) {
        auto const& path = values["html"].as<std::string>();
        write_file(path, plan_page(facts, model.title));
        if (path == "-") return exit_code::success;
    }
    if (values.contains("json")) {
        std::cout << io::plan_report_json(facts, model.title) << '\n';
    } else {
        print_plan(std::cout, facts, model.title);
    }
    return exit_code::success;
}

}  // namespace tesserank::app
