#include "app/arguments.hpp"
#include "app/command.hpp"
#include "app/device_options.hpp"
#include "app/exit_code.hpp"
#include "app/plan_device.hpp"
#include "app/plan_machine.hpp"
#include "app/plan_options.hpp"
#include "app/plan_page.hpp"
#include "app/plan_search.hpp"
#include "app/plan_table.hpp"
#include "app/run_options.hpp"
#include "io/plan_file.hpp"
#include "io/plan_report.hpp"
#include "io/requests/output_file.hpp"
#include "model/batch_limits.hpp"

#include <algorithm>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::app {
namespace {

namespace po = boost::program_options;

Grammar grammar() {
    Grammar grammar{"plan", {"MODEL.h5|config.json"}, po::options_description("Options")};
    auto add = grammar.options.add_options();
    add("ranks", po::value<long long>()->value_name("N"), "ranks of the job");
    add("placement", po::value<std::string>()->value_name("WISH")->default_value("shard"),
        placement_help);
    add("machine", po::value<std::string>()->value_name("FILE.json"),
        "predict for a machine that `tesserank calibrate` measured");
    add("memory-limit", po::value<std::string>()->value_name("SIZE"),
        "what a plan that is searched for may take on each rank, such as 80G");
    add("explain", "also list the five best plans, and what decides between them");
    add("batch", po::value<long long>()->value_name("N"), "sequences that run together (8)");
    add("prompt", po::value<long long>()->value_name("N"), "tokens of each prompt (128)");
    add("tiles", po::value<long long>()->value_name("N"),
        "tiles of the picture in each prompt, for a model with a vision encoder (1)");
    add("vision-chunk", po::value<long long>()->value_name("N"),
        "tiles per pass of the vision encoder, as for generate");
    add("keep-vision", po::value<std::string>()->value_name("WHEN")->default_value("yes"),
        "whether the vision encoder stays in memory between batches: yes or no");
    add("new", po::value<long long>()->value_name("N"), "new tokens of each sequence (128)");
    add("prefill-chunk", po::value<long long>()->value_name("N"),
        "prompt tokens per forward pass (512)");
    add("dtype", po::value<std::string>()->value_name("TYPE")->default_value("f32"),
        "what GEMMs read besides weights, and the KV cache: f32 or bf16");
    add("weights", po::value<std::string>()->value_name("FORMAT")->default_value("file"),
        weights_help);
    add("backend", po::value<std::string>()->value_name("NAME")->default_value("auto"),
        "that will run: cuda, kokkos, reference, or auto (that of --machine, else what a run here "
        "would take)");
    add("comm", po::value<std::string>()->value_name("NAME")->default_value("auto"), comm_help);
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
    if (values.contains("machine")) {
        files.emplace_back("--machine", values["machine"].as<std::string>());
    }
    check_distinct(files);
    check_outside_set(std::span(files).subspan(2), model);
}

std::size_t tiles_in(po::variables_map const& values, model::DecoderConfig const& config) {
    constexpr long long most = 1 << 16;
    auto const tiles = number_in(values, "tiles", {0, most, "0 to " + std::to_string(most)});
    if (tiles.value_or(0) > 0 && !config.vision) {
        throw UsageError("--tiles is for models with a vision encoder, which this one has not");
    }
    return tiles.value_or(usual_tiles(config));
}

/// By default 128 tokens, besides the features of a picture, and 128 new ones, or what a smaller
/// context has room for.
model::Workload workload_in(po::variables_map const& values, model::DecoderConfig const& config) {
    constexpr std::size_t usual = 128, most_tokens = std::size_t{1} << 30;
    model::Workload workload{.batch = count_in(values, "batch", 8, 1 << 16),
                             .stop_ids = config.eos_ids.size()};
    workload.tiles = tiles_in(values, config);
    std::size_t const features = feature_tokens(config, workload.tiles);
    workload.prompt =
        count_in(values, "prompt", features + std::clamp<std::size_t>(config.context / 2, 1, usual),
                 1 << 24);
    if (workload.prompt < features && !values.contains("tiles")) workload.tiles = 0;
    if (workload.prompt < feature_tokens(config, workload.tiles)) {
        throw UsageError("--prompt " + std::to_string(workload.prompt) + " has no room for the " +
                         std::to_string(features) + " features of " +
                         std::to_string(workload.tiles) + " tile(s)");
    }
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

kernels::DType compute_in(po::variables_map const& values) {
    auto const& name = values["dtype"].as<std::string>();
    if (name == "f32") return kernels::DType::f32;
    if (name == "bf16") return kernels::DType::bf16;
    throw UsageError("--dtype is \"" + name + "\", expected f32 or bf16");
}

model::VisionOptions vision_in(po::variables_map const& values) {
    auto const& keep = values["keep-vision"].as<std::string>();
    if (keep != "yes" && keep != "no") {
        throw UsageError("--keep-vision is \"" + keep + "\", expected yes or no");
    }
    return {.max_tiles = count_in(values, "vision-chunk", 0, 1 << 16), .keep = keep == "yes"};
}

void note_what_does_not_fit(model::PlanFacts& facts, std::optional<std::size_t> limit) {
    auto const most = std::ranges::max(facts.ranks, {}, &model::RankFacts::total).total();
    if (!limit || most <= *limit) return;
    facts.notes.push_back("the largest rank takes " + readable_bytes(most) + ", more than the " +
                          readable_bytes(*limit) + " of --memory-limit");
}

/// All that is said of a plan.
struct Planned {
    PlannedModel const& model;
    model::PlanFacts facts;
    io::PlanPrediction prediction;
};

std::optional<KnownMachine> machine_in(po::variables_map const& values, int ranks) {
    if (!values.contains("machine")) return std::nullopt;
    auto const& backend = values["backend"].as<std::string>();
    return machine_from_file(values["machine"].as<std::string>(), ranks,
                             backend == "auto" ? "" : backend);
}

/// What times are predicted for without a machine file: a search measures this process, and a plan
/// that is given gets times of no machine in particular.
KnownMachine machine_without_file(model::ModelRun const& run, PlannedDevice const& device,
                                  bool search) {
    if (!search) return assumed_machine(run.ranks);
    if (!device.why_not_here.empty()) {
        throw UsageError("a search measures a GPU here, but there is none: " + device.why_not_here +
                         "; give --machine FILE.json, which `tesserank calibrate` measured");
    }
    return measured_here(run, device.backend);
}

/// Where the plan goes besides the terminal; true when it has gone to standard output.
bool write_files(po::variables_map const& values, Planned const& planned) {
    auto const& [model, facts, prediction] = planned;
    if (values.contains("plan-out")) {
        io::write_text_file(values["plan-out"].as<std::string>(),
                            io::plan_text(facts.plan, model::describe_modules(model.config)));
    }
    if (values.contains("json")) {
        std::cout << io::plan_report_json(facts, prediction, model.title) << '\n';
    }
    if (!values.contains("html")) return values.contains("json");
    auto const& page = values["html"].as<std::string>();
    io::write_text_file(page, plan_page(facts, prediction, model.title));
    return page == "-" || values.contains("json");
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
    check_backend_word(values["backend"].as<std::string>());
    check_comm_word(values["comm"].as<std::string>());
    auto const model = open_for_planning(path);
    auto const workload = workload_in(values, model.config);
    auto known = machine_in(values, ranks);
    auto const device =
        planned_device(values["backend"].as<std::string>(), known ? known->backend : "");
    Precision const precision{compute_in(values),
                              weight_format_of(values["weights"].as<std::string>())};
    auto bounds = forward_options(model.config, precision,
                                  count_in(values, "prefill-chunk", 512, most_chunk));
    bounds.vision = vision_in(values);
    bool const queued = ranks == 1 || values["comm"].as<std::string>() != "mpi";
    auto const options = device.backend == "cuda" ? options_on_gpus(bounds, queued) : bounds;
    auto const& wish = values["placement"].as<std::string>();
    if (values.contains("explain") && values.contains("json")) {
        throw UsageError("--explain is for people: leave out --json");
    }
    bool const search = wish == automatic || values.contains("explain");
    auto const machine =
        known ? std::move(*known)
              : machine_without_file({model.config, options, workload, model.dtype_of, ranks},
                                     device, search);
    model::PlannerInput const input{.model = {model.config, options, model.dtype_of, ranks},
                                    .workload = workload,
                                    .machine = machine.machine,
                                    .bytes_per_rank = bytes_in(values, "memory-limit")};
    std::vector<model::RankedPlan> best;
    if (search) best = search_plans(input);
    auto const plan = wish == automatic ? best.front().plan
                                        : plan_for(model.config, wish, ranks, options.compute);
    Planned planned{model, model::facts_of(model.config, plan, options, workload, model.dtype_of),
                    predict(input, plan, machine.note)};
    planned.facts.backend = device.backend;
    if (!device.note.empty()) planned.facts.notes.push_back(device.note);
    note_what_does_not_fit(planned.facts, input.bytes_per_rank);
    if (write_files(values, planned)) return exit_code::success;
    if (values.contains("explain")) {
        print_search(std::cout, best, model::describe_modules(model.config));
    }
    print_plan(std::cout, planned.facts, planned.prediction, model.title);
    return exit_code::success;
}

}  // namespace tesserank::app
