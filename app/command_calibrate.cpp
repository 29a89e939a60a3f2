#include "app/arguments.hpp"
#include "app/calibration_table.hpp"
#include "app/command.hpp"
#include "app/device_options.hpp"
#include "app/exit_code.hpp"
#include "app/plan_options.hpp"
#include "app/progress.hpp"
#include "app/rank_device.hpp"
#include "app/rank_places.hpp"
#include "app/run_options.hpp"
#include "app/watch_options.hpp"
#include "io/machine_file.hpp"
#include "io/requests/output_file.hpp"
#include "model/calibration_shapes.hpp"
#include "parallel/agree.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace tesserank::app {
namespace {

namespace po = boost::program_options;
using kernels::DType;
using kernels::InputError;

Grammar grammar(WatchOptions& watch) {
    Grammar grammar{"calibrate", {}, po::options_description("Options")};
    auto add = grammar.options.add_options();
    add("output,o", po::value<std::string>()->value_name("FILE.json"),
        "where the machine is described; - for stdout");
    add("model", po::value<std::string>()->value_name("MODEL.h5|config.json"),
        "also measure the shapes of this model");
    add("backend", po::value<std::string>()->value_name("NAME")->default_value("auto"),
        backend_help);
    add("comm", po::value<std::string>()->value_name("NAME")->default_value("auto"), comm_help);
    add("seconds", po::value<long long>()->value_name("N"), "what it may take, about (45)");
    add("force", "replace an existing output");
    add_watch_options(grammar.options, watch);
    add("quiet,q", "no progress and no table");
    return grammar;
}

std::string output_in(po::variables_map const& values) {
    if (values.contains("output")) return values["output"].as<std::string>();
    throw UsageError("--output is missing: the file for what is measured, or - for stdout");
}

/// The model is not to be replaced by what is measured of it.
void check_files(po::variables_map const& values, std::string const& output) {
    std::vector<NamedFile> files;
    add_output(files, "--output", output);
    if (values.contains("model")) {
        auto const& model = values["model"].as<std::string>();
        check_outside_set(files, model);
        files.emplace_back("--model", model);
        files.emplace_back("the model's config", model + "/config.json");
    }
    check_distinct(files);
}

/// Made before anything is measured, so that a wrong path is known at once.
io::OutputFile open_output(std::string const& path, bool force) {
    std::error_code error;
    if (!force && std::filesystem::is_regular_file(path, error)) {
        throw InputError(path + " exists already; --force replaces it");
    }
    return io::OutputFile(path);
}

/// Batches of one and of several sequences, in both precisions.
void add_model(model::CalibrationRequest& request, std::string const& path, int ranks) {
    constexpr std::size_t usual_prompt = 128;
    auto const model = open_for_planning(path);
    for (auto const compute : {DType::f32, DType::bf16}) {
        for (std::size_t const batch : {1U, 8U, 32U}) {
            model::Workload workload{.batch = batch};
            workload.prompt = std::clamp<std::size_t>(model.config.context / 2, 1, usual_prompt);
            workload.tiles = usual_tiles(model.config);
            workload.new_tokens = workload.prompt;
            add_model_shapes(request,
                             {.config = model.config,
                              .options = forward_options(model.config, {.compute = compute}, 512),
                              .workload = workload,
                              .dtype_of = model.dtype_of,
                              .ranks = ranks});
        }
    }
}

template <class T>
void share(parallel::Communicator& ranks, std::vector<T>& list) {
    std::size_t size = list.size();
    ranks.broadcast(std::as_writable_bytes(std::span(&size, 1)), 0);
    list.resize(size);
    ranks.broadcast(std::as_writable_bytes(std::span(list)), 0);
}

/// Rank 0's for all: others may not see the model.
model::CalibrationRequest make_request(po::variables_map const& values, double seconds,
                                       parallel::MpiCommunicator& ranks) {
    auto request = model::general_calibration(seconds);
    parallel::agree(ranks, [&] {
        if (ranks.rank() != 0 || !values.contains("model")) return;
        add_model(request, values["model"].as<std::string>(), ranks.size());
    });
    share(ranks, request.gemms);
    share(ranks, request.attentions);
    share(ranks, request.message_bytes);
    return request;
}

std::string time_now() {
    std::time_t const now = std::time(nullptr);
    std::tm utc{};
    gmtime_r(&now, &utc);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
    return text.data();
}

io::MachineOrigin origin_of(kernels::Backend const& backend, parallel::Communicator& ranks) {
    io::MachineOrigin origin{
        .hosts = {}, .backend = std::string(backend.name()), .time = time_now()};
    for (auto const& host : group_by_host(gather_places(ranks))) origin.hosts.push_back(host.name);
    return origin;
}

}  // namespace

int run_calibrate(std::span<std::string const> arguments) {
    auto ranks = parallel::MpiCommunicator::world();
    bool const speaks = ranks.rank() == 0;
    WatchOptions watch;
    auto const values = parse_arguments(grammar(watch), arguments, speaks);
    if (!values) return exit_code::success;
    auto const path = output_in(*values);
    auto const seconds = number_in(*values, "seconds", {1, 3600, "1 to 3600"}).value_or(45);
    auto const& backend = (*values)["backend"].as<std::string>();
    auto const& comm = (*values)["comm"].as<std::string>();
    check_backend_word(backend);
    check_comm_word(comm);
    read_watch_options(*values, path, watch);
    auto const watchdog = watch_over(ranks, watch);
    DeviceWish const wish{.backend = backend,
                          .comm = comm,
                          .fused = FusedOptions(),  // left out, g++ 12 takes it for uninitialized
                          .queue_seconds = watch.queue_seconds()};
    RankDevice device(wish, ranks);
    std::optional<io::OutputFile> output;
    parallel::agree(ranks, [&] {
        if (!speaks) return;
        check_files(*values, path);
        output.emplace(open_output(path, values->contains("force")));
    });
    auto const request = make_request(*values, static_cast<double>(seconds), ranks);
    auto const verbosity =
        values->contains("quiet") || !speaks ? Verbosity::quiet : Verbosity::normal;
    std::optional<Progress> progress(std::in_place, "measuring", verbosity);
    auto machine = model::calibrate(device.backend(), device.tensors(), request,
                                    [&](double share_done) { progress->update(share_done); });
    progress.reset();
    io::MachineFile const file{std::move(machine), origin_of(device.backend(), ranks)};
    parallel::agree(ranks, [&] {
        if (!speaks) return;
        output->write(io::machine_text(file));
        output->commit();
    });
    if (verbosity == Verbosity::normal && path != "-") print_machine(std::cout, file.machine);
    return exit_code::success;
}

}  // namespace tesserank::app
