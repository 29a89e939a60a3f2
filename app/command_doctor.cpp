#include "app/arguments.hpp"
#include "app/command.hpp"
#include "app/exit_code.hpp"
#include "app/machine.hpp"
#include "app/rank_places.hpp"
#include "io/requests/json_text.hpp"
#include "parallel/mpi_communicator.hpp"
#include "parallel/mpi_library.hpp"

#include <fstream>
#include <iostream>
#include <span>
#include <utility>
#include <vector>

namespace tesserank::app {
namespace {

namespace po = boost::program_options;

using Fact = std::pair<std::string_view, std::string>;

/// All that is the same on every rank, and of the CPU what rank 0 sees.
std::vector<Fact> list_facts(std::size_t ranks) {
    std::ifstream cpuinfo("/proc/cpuinfo");
    auto const cpu = read_cpu(cpuinfo);
    std::string features;
    for (auto const& feature : cpu.features) features += (features.empty() ? "" : " ") + feature;
    return {{"version", TESSERANK_VERSION},
            {"build", TESSERANK_BUILD},
            {"mpi", parallel::mpi_library_version()},
            {"mpi_threads", parallel::mpi_thread_level()},
            {"ranks", std::to_string(ranks)},
            {"cpu", cpu.model},
            {"cpu_features", features.empty() ? "none of those the kernels use" : features},
            {"hdf5", TESSERANK_HDF5},
            {"kokkos", TESSERANK_KOKKOS},
            {"onednn", TESSERANK_ONEDNN},
            {"backends", "kokkos reference"},
            {"cuda", "not in this build"}};
}

std::string gibibytes(std::size_t bytes) {
    auto const tenths = bytes / ((std::size_t{1} << 30) / 10);
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " GiB";
}

std::string describe(RankPlace const& place) {
    return std::string(place.host) + ", " + std::to_string(place.cores.count()) + " core(s) (" +
           list_cores(place.cores) + "), " + gibibytes(place.memory_bytes) + " of memory free, " +
           gibibytes(place.shm_bytes) + " in /dev/shm";
}

void print_text(std::vector<Fact> const& facts, std::vector<RankPlace> const& places,
                std::vector<std::string> const& warnings) {
    std::size_t constexpr width = 14;
    auto const print = [](std::string name, std::string const& value) {
        name.resize(width, ' ');
        std::cout << name << value << '\n';
    };
    for (auto const& [name, value] : facts) print(std::string(name), value);
    for (std::size_t rank = 0; rank < places.size(); ++rank) {
        print("rank " + std::to_string(rank), describe(places[rank]));
    }
    for (auto const& warning : warnings) print("warning", warning);
    if (warnings.empty()) print("warnings", "none");
}

void print_json(std::vector<Fact> const& facts, std::vector<RankPlace> const& places,
                std::vector<std::string> const& warnings) {
    io::JsonObject report;
    for (auto const& [name, value] : facts) report.add(name, value);
    std::string list;
    for (auto const& place : places) {
        list += (list.empty() ? "" : ", ") + io::JsonObject()
                                                 .add("host", std::string(place.host))
                                                 .add("cores", list_cores(place.cores))
                                                 .add("memory_bytes", place.memory_bytes)
                                                 .add("shm_bytes", place.shm_bytes)
                                                 .close();
    }
    report.add_json("places", "[" + list + "]").add("warnings", std::span(warnings));
    std::cout << report.close() << '\n';
}

}  // namespace

int run_doctor(std::span<std::string const> arguments) {
    auto ranks = parallel::MpiCommunicator::world();
    bool const speaks = ranks.rank() == 0;
    Grammar grammar{"doctor", {}, po::options_description("Options")};
    grammar.options.add_options()("json", "everything as one JSON object, for programs");
    auto const values = parse_arguments(grammar, arguments, speaks);
    if (!values) return exit_code::success;

    auto const places = gather_places(ranks);
    if (!speaks) return exit_code::success;
    auto const print = values->contains("json") ? print_json : print_text;
    print(list_facts(places.size()), places, find_warnings(places));
    return exit_code::success;
}

}  // namespace tesserank::app
