#include "app/arguments.hpp"
#include "app/command.hpp"
#include "app/exit_code.hpp"
#include "app/plan_options.hpp"
#include "app/progress.hpp"
#include "app/set_plan.hpp"
#include "app/watch_options.hpp"
#include "io/model_file/convert.hpp"
#include "io/safetensors/reader.hpp"
#include "model/architecture.hpp"
#include "parallel/agree.hpp"
#include "parallel/mpi_session.hpp"

#include <cstdio>
#include <exception>
#include <optional>

namespace tesserank::app {
namespace {

namespace po = boost::program_options;

NumberRange const rank_counts{1, static_cast<long long>(io::most_set_ranks), "1 to 65536"};

Grammar grammar(WatchOptions& watch) {
    Grammar grammar{"convert", {"SOURCE_DIR", "MODEL.h5"}, po::options_description("Options")};
    auto add = grammar.options.add_options();
    add("dtype", po::value<std::string>()->value_name("TYPE"),
        "f32, bf16 or f16: cast every weight, rounding to nearest; by default weights stay as they "
        "are (f64 becomes f32)");
    add("ranks", po::value<long long>()->value_name("N"),
        "write a set of files for a job of N ranks, into a folder: what every rank holds whole, "
        "once, and a file for each rank; needs --placement");
    add("placement", po::value<std::string>()->value_name("WISH"),
        "where the set's weights will live: a preset, rules, or a plan file");
    add("force", "replace an existing model file or set");
    add_watch_options(grammar.options, watch);
    add("quiet,q", "no progress and no summary");
    return grammar;
}

std::optional<kernels::DType> dtype_in(po::variables_map const& values) {
    if (!values.contains("dtype")) return std::nullopt;
    auto const& name = values["dtype"].as<std::string>();
    auto const dtype = kernels::dtype_from_name(name);
    if (!dtype) throw UsageError("--dtype is \"" + name + "\", expected f32, bf16 or f16");
    return dtype;
}

std::optional<io::SetPlan> set_plan_in(po::variables_map const& values) {
    if (values.contains("ranks") != values.contains("placement")) {
        throw UsageError("--ranks and --placement go together: they make a set of files");
    }
    auto const ranks = number_in(values, "ranks", rank_counts);
    if (!ranks) return std::nullopt;
    auto const& folder = values["SOURCE_DIR"].as<std::string>();
    auto config = open_for_planning(folder).config;
    io::SafetensorsReader const source(folder);
    model::match_names(config, [&](std::string_view name) { return source.has(name); });
    return set_plan(config, values["placement"].as<std::string>(), static_cast<int>(*ranks));
}

/// The same on every rank, errors too.
std::optional<io::SetPlan> set_plan_for(po::variables_map const& values,
                                        parallel::MpiCommunicator* ranks) {
    if (ranks == nullptr) return set_plan_in(values);
    std::optional<io::SetPlan> plan;
    std::exception_ptr wrong_use;  // which all ranks find for themselves
    parallel::agree(*ranks, [&] {
        try {
            plan = set_plan_in(values);
        } catch (UsageError const&) {
            wrong_use = std::current_exception();
        }
    });
    if (wrong_use) std::rethrow_exception(wrong_use);
    return plan;
}

void print_summary(io::ConvertReport const& report, double seconds) {
    std::fprintf(stderr,
                 "tesserank: %zu tensors, %.1f M parameters, %s read in %.2f s, %.0f MB/s\n",
                 report.tensors, static_cast<double>(report.elements) / 1e6,
                 megabytes(report.source_bytes).c_str(), seconds,
                 static_cast<double>(report.source_bytes) / 1e6 / seconds);
    if (report.skipped.empty()) return;
    std::fputs("tesserank: not taken over, as whole numbers are no weights:", stderr);
    for (auto const& name : report.skipped) std::fprintf(stderr, " %s", name.c_str());
    std::fputs("\n", stderr);
}

/// On `ranks`, or in this process alone.
int convert(po::variables_map const& values, parallel::MpiCommunicator* ranks) {
    bool const speaks = ranks == nullptr || ranks->rank() == 0;
    auto const verbosity =
        values.contains("quiet") || !speaks ? Verbosity::quiet : Verbosity::normal;
    Progress progress("converting", verbosity);
    io::ConvertOptions options{
        .source_folder = values["SOURCE_DIR"].as<std::string>(),
        .model_path = values["MODEL.h5"].as<std::string>(),
        .dtype = dtype_in(values),
        .existing = values.contains("force") ? io::Existing::replace : io::Existing::keep,
        .progress = [&](std::size_t done, std::size_t total) { progress.update(done, total); }};
    options.set = set_plan_for(values, ranks);
    auto const report = io::convert_checkpoint(options, ranks);
    if (verbosity == Verbosity::normal) print_summary(report, progress.seconds());
    return exit_code::success;
}

}  // namespace

int run_convert(std::span<std::string const> arguments) {
    std::optional<parallel::MpiCommunicator> ranks;
    if (parallel::MpiSession::is_running()) ranks = parallel::MpiCommunicator::world();
    WatchOptions watch;
    auto const values = parse_arguments(grammar(watch), arguments, !ranks || ranks->rank() == 0);
    if (!values) return exit_code::success;
    auto const& model = (*values)["MODEL.h5"].as<std::string>();
    // Beside a set's folder, not in it.
    read_watch_options(*values, model.substr(0, model.find_last_not_of('/') + 1), watch);
    if (!ranks) return convert(*values, nullptr);
    auto const watchdog = watch_over(*ranks, watch);
    return convert(*values, &*ranks);
}

}  // namespace tesserank::app
