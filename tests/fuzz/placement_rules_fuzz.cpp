// Any text as a wish for a plan (--placement): refused by an InputError, or a plan of every module
// whose shortest wish makes the same plan.

#include "kernels/error.hpp"
#include "model/placement_rules.hpp"
#include "tests/fuzz/check.hpp"
#include "tests/fuzz/plan_modules.hpp"

#include <cstdint>
#include <string_view>

namespace {

using namespace tesserank;
using fuzz::check;

void plan_for(std::string_view wish, int ranks) {
    auto const& modules = fuzz::plan_modules();
    try {
        auto const plan = model::make_plan(modules, wish, ranks);
        check(plan.ranks == ranks && plan.placements.size() == modules.size());
        for (auto const& module : modules) {
            auto const placement = plan.of(module.name);
            check(placement.rank >= 0 && placement.rank < ranks);
            bool const whole = ranks == 1 || module.kind == model::ModuleKind::norm;
            check(!whole || placement == model::Placement::replicate);
        }
        auto const again = model::make_plan(modules, model::wish_for(plan, modules), ranks);
        check(again.placements == plan.placements);
    } catch (kernels::InputError const&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const wish(reinterpret_cast<char const*>(data), size);
    for (int const ranks : {1, 3}) plan_for(wish, ranks);
    return 0;
}
