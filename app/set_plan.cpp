#include "app/set_plan.hpp"

#include "app/plan_options.hpp"
#include "io/plan_file.hpp"
#include "kernels/error.hpp"

#include <algorithm>

namespace tesserank::app {

io::SetPlan set_plan(model::DecoderConfig const& config, std::string const& wish, int ranks) {
    auto const plan = plan_for(config, wish, ranks, kernels::DType::f32);
    return {.ranks = ranks,
            .placement = wish,
            .plan = io::plan_text(plan, model::describe_modules(config)),
            .tensors = model::tensors_held(config, plan)};
}

std::string plan_of_set(io::SetIndex const& set, model::DecoderConfig const& config,
                        std::string const& wish) {
    auto const modules = model::describe_modules(config);
    auto const written =
        io::parse_plan(set.plan, set.folder + "/" + io::set_index_name, modules, set.ranks);
    if (wish.empty()) return set.plan;
    auto const wanted = plan_for(config, wish, set.ranks, kernels::DType::f32);
    auto const other = std::ranges::find_if(modules, [&](auto const& module) {
        return written.of(module.name) != wanted.of(module.name);
    });
    if (other == modules.end()) return set.plan;
    throw kernels::InputError(set.folder + ": was written for --placement " + set.placement +
                              ", which has " + other->name + " as " +
                              name_of(written.of(other->name)) + "; --placement " + wish +
                              " has it as " + name_of(wanted.of(other->name)) +
                              ". Leave --placement out, or convert the model again for it.");
}

}  // namespace tesserank::app
