#include "app/run_plan.hpp"

#include "app/plan_machine.hpp"
#include "app/plan_options.hpp"
#include "app/plan_search.hpp"
#include "app/set_plan.hpp"
#include "app/table.hpp"
#include "io/input_file.hpp"
#include "io/machine_file.hpp"
#include "io/plan_file.hpp"
#include "io/requests/output_file.hpp"
#include "kernels/error.hpp"
#include "model/batch_limits.hpp"
#include "model/calibrate.hpp"
#include "model/placement_rules.hpp"
#include "model/residual_route.hpp"
#include "parallel/agree.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace tesserank::app {
namespace {

using kernels::InputError;

/// A usual batch of the run, as far as nothing else is asked for.
model::Workload workload_of(RunOptions const& options, RunPlanInput const& input) {
    constexpr std::size_t usual_prompt = 128;
    std::size_t const context = std::min(input.model.config.context,
                                         options.max_length.value_or(input.model.config.context));
    std::size_t const features =
        feature_tokens(input.model.config, usual_tiles(input.model.config));
    std::size_t const prompt = options.prompt.value_or(
        std::min(features + usual_prompt, std::max<std::size_t>(context / 2, 1)));
    if (prompt >= context) {
        throw InputError("--prompt " + std::to_string(prompt) +
                         " leaves no room for a new token in " + std::to_string(context) +
                         " tokens");
    }
    model::Workload const workload{
        .batch = options.batch.value_or(model::largest_automatic_batch),
        .prompt = prompt,
        .new_tokens = std::clamp<std::size_t>(input.new_tokens, 1, context - prompt),
        .candidates = input.candidates,
        .tiles = prompt < features ? 0 : usual_tiles(input.model.config)};
    check_workload(workload);
    return workload;
}

/// On every rank, though only rank 0 needs it: what is measured is measured by all.
model::Machine machine_for_run(RunOptions const& options, RunPlanInput const& input,
                               model::Workload const& workload, RankDevice& device,
                               parallel::MpiCommunicator& ranks) {
    constexpr double seconds = 3.0;
    if (options.machine.empty()) {
        auto const& [config, forward, dtype_of, count] = input.model;
        return model::calibrate(
            device.backend(), device.tensors(),
            model::quick_calibration({config, forward, workload, dtype_of, count}, seconds));
    }
    std::string text;
    parallel::agree(ranks, [&] {
        if (ranks.rank() == 0) text = io::read_text_file(options.machine, most_json_bytes);
    });
    text = ranks.broadcast_text(std::move(text), 0);
    std::optional<io::MachineFile> file;
    parallel::agree(ranks, [&] {
        file.emplace(io::parse_machine(
            text, options.machine, {.ranks = ranks.size(), .backend = device.backend().name()}));
    });
    return std::move(file->machine);
}

/// Rank 0's plan as a text; collective where something is measured.
std::string search_text(RunOptions const& options, RunPlanInput const& input, RankDevice& device,
                        parallel::MpiCommunicator& ranks) {
    model::Workload workload;
    parallel::agree(ranks, [&] { workload = workload_of(options, input); });
    auto const machine = machine_for_run(options, input, workload, device, ranks);
    std::string text;
    parallel::agree(ranks, [&] {
        if (ranks.rank() != 0) return;
        model::PlannerInput question{.model = input.model,
                                     .workload = workload,
                                     .machine = machine,
                                     .bytes_per_rank = input.bytes_per_rank};
        // As in BatchLimits: a batch that was not asked for shrinks until it fits.
        while (!options.batch && question.workload.batch > 1 &&
               model::fitting_presets(question.model, question.workload, input.bytes_per_rank)
                   .empty()) {
            question.workload.batch /= 2;
        }
        text = io::plan_text(search_plans(question).front().plan,
                             model::describe_modules(input.model.config));
    });
    return text;
}

/// Before anything is allocated: the weights, a forward pass, and the batch that was asked for, or
/// the shortest sequence.
void check_memory(RunOptions const& wishes, RunPlanInput const& input,
                  model::PlacementPlan const& plan, int rank) {
    auto const& [config, options, dtype_of, ranks] = input.model;
    // As much as arithmetic can count; what is beyond does not fit either.
    constexpr std::size_t most_sequences = 1 << 16, most_length = 1 << 20;
    model::Workload const least{.batch = std::min(wishes.batch.value_or(1), most_sequences),
                                .prompt = std::min(wishes.max_length.value_or(2), most_length) - 1,
                                .new_tokens = 1};
    auto const memory = model::memory_of(config, plan, options, least, dtype_of);
    std::size_t const needed = memory[static_cast<std::size_t>(rank)].total();
    if (needed <= input.bytes_per_rank) return;
    std::string advice;
    for (auto const preset : model::fitting_presets(input.model, least, input.bytes_per_rank)) {
        advice += (advice.empty() ? "--placement " : " or ") + std::string(preset);
    }
    throw InputError(
        "the model takes " + readable_bytes(needed) + " on this rank under this plan, " +
        readable_bytes(needed - input.bytes_per_rank) +
        " more than its share of the free memory, " + readable_bytes(input.bytes_per_rank) + "; " +
        (advice.empty() ? "no preset fits: use more nodes" : advice + " would fit") +
        (wishes.batch ? ", or give a smaller --batch" : ""));
}

}  // namespace

model::PlacementPlan plan_for_run(RunOptions const& options, RunPlanInput const& input,
                                  RankDevice& device, parallel::MpiCommunicator& ranks) {
    auto const& config = input.model.config;
    auto const compute = input.model.options.compute;
    auto const modules = model::describe_modules(config);
    std::string text;
    bool const searched = options.placement == automatic;
    if (searched && input.set == nullptr) {
        text = search_text(options, input, device, ranks);
    } else {
        // Rank 0's plan for all: others may not see a plan file, or see another one.
        parallel::agree(ranks, [&] {
            if (ranks.rank() != 0) return;
            if (input.set == nullptr) {
                auto const plan = plan_for(config, options.placement, ranks.size(), compute);
                text = io::plan_text(plan, modules);
            } else {
                bool const wished = options.placement_given && !searched;
                text = plan_of_set(*input.set, config, wished ? options.placement : "");
            }
        });
    }
    parallel::agree(ranks, [&] {
        if (ranks.rank() == 0 && !options.plan_out.empty()) {
            io::write_text_file(options.plan_out, text);
        }
    });
    text = ranks.broadcast_text(std::move(text), 0);
    model::PlacementPlan plan;
    parallel::agree(ranks, [&] {
        plan = io::parse_plan(text, "the plan", modules, ranks.size());
        if (plan.streams.empty()) model::settle_streams(plan, modules, compute);
        check_memory(options, input, plan, ranks.rank());
    });
    return plan;
}

bool keeps_vision(RunOptions const& options, RunPlanInput const& input,
                  model::PlacementPlan const& plan) {
    if (options.keep_vision != "auto") return options.keep_vision == "yes";
    auto forward = input.model.options;
    forward.vision.keep = true;
    std::size_t const length = options.max_length.value_or(
        std::min(input.model.config.context, model::longest_automatic_length));
    model::Workload const wanted{.batch = options.batch.value_or(model::largest_automatic_batch),
                                 .prompt = length - 1,
                                 .new_tokens = 1};
    auto const memory =
        model::memory_of(input.model.config, plan, forward, wanted, input.model.dtype_of);
    return std::ranges::all_of(
        memory, [&](model::RankFacts const& rank) { return rank.total() <= input.bytes_per_rank; });
}

std::string plan_summary(model::PlannedWork const& model, model::PlacementPlan const& plan,
                         model::StepShape const& step) {
    auto const& [config, options, dtype_of, ranks] = model;
    std::vector<std::size_t> weights(static_cast<std::size_t>(ranks), 0);
    auto const modules = model::describe_modules(config);
    for (auto const& module : modules) {
        auto const bytes = model::weight_bytes_of(config, plan, options.weights, module, dtype_of);
        for (std::size_t rank = 0; rank < weights.size(); ++rank) weights[rank] += bytes[rank];
    }
    auto const [least, most] = std::ranges::minmax(weights);
    auto text = model::wish_for(plan, modules) + ": weights " + readable_bytes(least);
    if (least != most) text += " to " + readable_bytes(most);
    text += " on each rank";
    auto const exchanges = model::exchanges_of(config, plan, options, step);
    std::size_t bytes = 0;
    for (auto const& exchange : exchanges) bytes += exchange.bytes;
    return text + "; a decode step of " + std::to_string(step.rows) + " row(s) has " +
           std::to_string(exchanges.size()) + " collectives over " + readable_bytes(bytes);
}

}  // namespace tesserank::app
