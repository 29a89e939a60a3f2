#include "app/arguments.hpp"
#include "app/command.hpp"
#include "app/exit_code.hpp"
#include "app/progress.hpp"
#include "app/watch_options.hpp"
#include "io/model_file/verify.hpp"
#include "parallel/agree.hpp"

#include <cstdio>

namespace tesserank::app {
namespace {

namespace po = boost::program_options;

/// A file with this many damaged places needs no complete list.
constexpr std::size_t most_named = 20;

Grammar grammar(WatchOptions& watch) {
    Grammar grammar{"verify", {"MODEL.h5"}, po::options_description("Options")};
    add_watch_options(grammar.options, watch);
    grammar.options.add_options()("quiet,q", "no progress and no summary");
    return grammar;
}

std::string describe_damage(std::string const& path, io::VerifyReport const& report) {
    auto text = path + ": " + std::to_string(report.damaged.size()) + " of " +
                std::to_string(report.blocks) + " blocks do not have their checksum: ";
    for (std::size_t i = 0; i < report.damaged.size() && i < most_named; ++i) {
        text += (i == 0 ? "" : "; ") + report.damaged[i];
    }
    if (report.damaged.size() > most_named) text += "; ...";
    return text + ". Convert the model again.";
}

}  // namespace

int run_verify(std::span<std::string const> arguments) {
    auto ranks = parallel::MpiCommunicator::world();
    bool const speaks = ranks.rank() == 0;
    WatchOptions watch;
    auto const values = parse_arguments(grammar(watch), arguments, speaks);
    if (!values) return exit_code::success;
    read_watch_options(*values, "", watch);
    auto const watchdog = watch_over(ranks, watch);
    auto const verbosity =
        values->contains("quiet") || !speaks ? Verbosity::quiet : Verbosity::normal;
    auto const index = io::open_model((*values)["MODEL.h5"].as<std::string>(), ranks);
    std::string damage;
    for (auto const& file : io::files_of(index, ranks)) {
        Progress progress("verifying", verbosity);
        auto const report = io::verify_model(file, ranks, [&](std::size_t done, std::size_t total) {
            progress.update(done, total);
        });
        if (!report.damaged.empty()) {
            damage += (damage.empty() ? "" : "\n") + describe_damage(file.path, report);
        } else if (verbosity == Verbosity::normal) {
            std::printf("%s: every checksum is right: %zu tensors, %zu blocks, %s in %.2f s\n",
                        file.path.c_str(), file.tensors.size(), report.blocks,
                        megabytes(report.bytes).c_str(), progress.seconds());
        }
    }
    parallel::agree(ranks, [&] {
        if (!damage.empty()) throw kernels::InputError(damage);
    });
    return exit_code::success;
}

}  // namespace tesserank::app
