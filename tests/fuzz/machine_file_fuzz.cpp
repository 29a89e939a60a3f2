// Any text as a machine file: refused by an InputError, or a machine that comes back as it was when
// it is written and read again, and in which no work takes less than no time.

#include "io/machine_file.hpp"
#include "kernels/error.hpp"
#include "tests/fuzz/check.hpp"

#include <cstdint>
#include <string_view>

namespace {

using namespace tesserank;
using fuzz::check;

void check_costs(model::Machine const& machine) {
    using kernels::DType;
    using model::Busy;
    for (auto const busy : {Busy::all, Busy::one}) {
        check(machine.gemm_seconds({DType::bf16, DType::f32, 3, 100, 300}, busy) >= 0);
        check(machine.attention_seconds(
                  {.rows = 3, .context = 40, .query_heads = 8, .kv_heads = 2, .head_dim = 64},
                  busy) >= 0);
        check(machine.pass_seconds(5000, busy) >= 0);
    }
    for (auto const kind : parallel::all_collectives) {
        check(machine.collective_seconds(kind, 5000) >= 0);
    }
}

void read(std::string_view text, int ranks) {
    try {
        auto const file = io::parse_machine(text, "fuzz", {.ranks = ranks, .backend = {}});
        check(file.machine.ranks() == ranks);
        check_costs(file.machine);
        auto const again =
            io::parse_machine(io::machine_text(file), "again", {ranks, file.origin.backend});
        check(again.machine.points() == file.machine.points() && again.origin == file.origin);
    } catch (kernels::InputError const&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    for (int const ranks : {1, 2}) read(text, ranks);
    return 0;
}
