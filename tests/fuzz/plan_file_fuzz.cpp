// Any text as a plan file: refused by an InputError, or a plan that comes back as it was when it is
// written and read again.

#include "io/plan_file.hpp"
#include "kernels/error.hpp"
#include "model/residual_route.hpp"
#include "tests/fuzz/check.hpp"
#include "tests/fuzz/plan_modules.hpp"

#include <cstdint>
#include <string_view>

namespace {

using namespace tesserank;
using fuzz::check;

void read(std::string_view text, int ranks) {
    auto const& modules = fuzz::plan_modules();
    try {
        auto plan = io::parse_plan(text, "fuzz", modules, ranks);
        check(plan.ranks == ranks && plan.placements.size() == modules.size());
        for (auto const& [name, placement] : plan.placements) check(placement.rank < ranks);
        for (auto const& [name, layout] : plan.streams) check(layout.rank < ranks);
        if (plan.streams.empty()) settle_streams(plan, modules, kernels::DType::f32);
        if (ranks == 1) return;  // all placements are the same, and none has a stream
        auto const again = io::parse_plan(io::plan_text(plan, modules), "again", modules, ranks);
        check(again.placements == plan.placements && again.streams == plan.streams);
    } catch (kernels::InputError const&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    for (int const ranks : {1, 3}) read(text, ranks);
    return 0;
}
