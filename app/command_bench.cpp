#include "app/bench_options.hpp"
#include "app/bench_report.hpp"
#include "app/bench_session.hpp"
#include "app/command.hpp"
#include "app/exit_code.hpp"
#include "app/watch_options.hpp"
#include "io/requests/output_file.hpp"
#include "parallel/agree.hpp"

#include <iostream>
#include <optional>

namespace tesserank::app {

int run_bench(std::span<std::string const> arguments) {
    auto ranks = parallel::MpiCommunicator::world();
    bool const speaks = ranks.rank() == 0;
    auto const options = parse_bench_options(arguments, speaks);
    if (!options) return exit_code::success;
    auto const watchdog = watch_over(ranks, options->watch);
    std::optional<io::OutputFile> json;
    // Before anything is measured, so that a wrong path costs nothing.
    parallel::agree(ranks, [&] {
        if (!speaks) return;
        check_paths(*options);
        if (!options->json.empty()) json.emplace(options->json);
    });
    auto const report = [&] {
        Progress progress("bench",
                          speaks && !options->quiet ? Verbosity::normal : Verbosity::quiet);
        return BenchSession(*options, ranks, progress).measure();
    }();
    parallel::agree(ranks, [&] {
        if (json) {
            json->write(bench_json(report) + "\n");
            json->commit();
        }
        if (speaks && options->json != "-") print_bench(std::cout, report);
    });
    return exit_code::success;
}

}  // namespace tesserank::app
