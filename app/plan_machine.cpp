#include "app/plan_machine.hpp"

#include "app/backend.hpp"
#include "app/plan_options.hpp"
#include "io/input_file.hpp"
#include "io/machine_file.hpp"
#include "model/assumed_links.hpp"
#include "model/rated_machine.hpp"

#include <sstream>
#include <utility>

namespace tesserank::app {
KnownMachine machine_from_file(std::string const& path, int ranks, std::string_view backend) {
    auto file = io::parse_machine(io::read_text_file(path, most_json_bytes), path,
                                  {.ranks = ranks, .backend = backend});
    return {std::move(file.machine), path + ", measured " + file.origin.time,
            std::move(file.origin.backend)};
}

KnownMachine measured_here(model::ModelRun const& run, std::string_view name) {
    constexpr double seconds = 2.0;
    auto const backend = make_backend_alone(name);
    return {model::measure_with_assumed_links(*backend, run, seconds),
            std::string("work measured in this process; ") + model::assumed_links_note};
}

KnownMachine assumed_machine(int ranks) {
    model::MachineRates const rates{.ranks = ranks};
    std::ostringstream note;
    note << "assumed: each rank reads " << rates.memory / 1e9 << " GB/s and computes "
         << rates.arithmetic / 1e9 << " G multiply-adds/s, a collective takes "
         << rates.latency * 1e6 << " us and moves " << rates.link / 1e9
         << " GB/s; --machine FILE predicts for a machine that `tesserank calibrate` measured";
    return {model::rated_machine(rates), note.str()};
}

}  // namespace tesserank::app
