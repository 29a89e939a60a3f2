#include "app/arguments.hpp"
#include "app/command.hpp"
#include "app/device_choice.hpp"
#include "app/exit_code.hpp"
#include "app/machine.hpp"
#include "app/rank_device.hpp"
#include "app/rank_places.hpp"
#include "io/requests/json_text.hpp"
#include "kernels/cuda_device.hpp"
#include "parallel/mpi_communicator.hpp"
#include "parallel/mpi_library.hpp"
#include "parallel/nccl.hpp"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

namespace tesserank::app {
namespace {

namespace po = boost::program_options;

using Fact = std::pair<std::string_view, std::string>;

struct Report {
    std::vector<Fact> facts;  ///< of all ranks, and of the CPU and the libraries what rank 0 sees
    std::vector<RankPlace> places;
    std::vector<RankGpu> gpus;
    std::vector<std::string> warnings;
};

std::string what_auto_takes(std::span<RankGpu const> gpus) {
    auto const why_not = why_not_cuda(gpus);
    return choose_backend("auto", gpus).name + (why_not.empty() ? "" : ", no GPU: " + why_not);
}

/// What a run on GPUs loads, and what of it is missing.
std::vector<Fact> list_gpu_facts() {
    auto const libraries = kernels::find_cuda_libraries();
    auto const nccl = parallel::find_nccl();
    auto const found = [](std::string const& version) {
        return version.empty() ? "not found" : version;
    };
    return {{"cuda", TESSERANK_CUDA},
            {"cuda_driver", found(libraries.driver)},
            {"cublaslt", found(libraries.cublas_lt)},
            {"nccl", nccl.why_none.empty() ? nccl.version + ", " + nccl.path : nccl.why_none},
            {"cuda_missing", libraries.missing.empty() ? "nothing" : libraries.missing}};
}

std::vector<Fact> list_facts(std::span<RankGpu const> gpus) {
    std::ifstream cpuinfo("/proc/cpuinfo");
    auto const cpu = read_cpu(cpuinfo);
    std::string features;
    for (auto const& feature : cpu.features) features += (features.empty() ? "" : " ") + feature;
    std::vector<Fact> facts{
        {"version", TESSERANK_VERSION},
        {"build", TESSERANK_BUILD},
        {"mpi", parallel::mpi_library_version()},
        {"mpi_threads", parallel::mpi_thread_level()},
        {"ranks", std::to_string(gpus.size())},
        {"cpu", cpu.model},
        {"cpu_features", features.empty() ? "none of those the kernels use" : features},
        {"hdf5", TESSERANK_HDF5},
        {"kokkos", TESSERANK_KOKKOS},
        {"onednn", TESSERANK_ONEDNN},
        {"backends", TESSERANK_BACKENDS},
        {"auto", what_auto_takes(gpus)}};
    std::ranges::move(list_gpu_facts(), std::back_inserter(facts));
    return facts;
}

std::string gibibytes(std::size_t bytes) {
    auto const tenths = bytes / ((std::size_t{1} << 30) / 10);
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " GiB";
}

std::string describe(RankPlace const& place) {
    return std::string(place.host) + ", " + std::to_string(place.cores.count()) + " core(s) (" +
           list_cores(place.cores) + "), " + gibibytes(place.memory_bytes) +
           " of memory free (limit: " + place.memory_limit + "), " +
           std::to_string(place.process_bytes >> 20) + " MiB taken by the process itself, " +
           gibibytes(place.shm_bytes) + " in /dev/shm";
}

std::string describe_gpu(RankGpu const& gpu) {
    if (gpu.device == -1) return std::string("no GPU: ") + gpu.why_not.data();
    return "GPU " + std::to_string(gpu.device) + ", " + describe(gpu) + ", " +
           gibibytes(gpu.memory_bytes) + ", compute capability " + std::to_string(gpu.major) + "." +
           std::to_string(gpu.minor);
}

void print_text(Report const& report) {
    std::size_t constexpr width = 14;
    auto const print = [](std::string name, std::string const& value) {
        name.resize(width, ' ');
        std::cout << name << value << '\n';
    };
    for (auto const& [name, value] : report.facts) print(std::string(name), value);
    for (std::size_t rank = 0; rank < report.places.size(); ++rank) {
        print("rank " + std::to_string(rank),
              describe(report.places[rank]) + "; " + describe_gpu(report.gpus[rank]));
    }
    for (auto const& warning : report.warnings) print("warning", warning);
    if (report.warnings.empty()) print("warnings", "none");
}

std::string gpu_json(RankGpu const& gpu) {
    io::JsonObject object;
    if (gpu.device == -1) return object.add("why_none", gpu.why_not.data()).close();
    return object.add("device", gpu.device)
        .add("name", gpu.name.data())
        .add("uuid", uuid_text(gpu.uuid))
        .add("pci_bus_id", gpu.pci_bus_id.data())
        .add("memory_bytes", gpu.memory_bytes)
        .add("compute_capability", std::to_string(gpu.major) + "." + std::to_string(gpu.minor))
        .close();
}

void print_json(Report const& report) {
    io::JsonObject object;
    for (auto const& [name, value] : report.facts) object.add(name, value);
    std::string list;
    for (std::size_t rank = 0; rank < report.places.size(); ++rank) {
        auto const& place = report.places[rank];
        list +=
            (list.empty() ? "" : ", ") + io::JsonObject()
                                             .add("host", std::string(place.host))
                                             .add("cores", list_cores(place.cores))
                                             .add("memory_bytes", place.memory_bytes)
                                             .add("memory_limit", std::string(place.memory_limit))
                                             .add("process_bytes", place.process_bytes)
                                             .add("shm_bytes", place.shm_bytes)
                                             .add_json("gpu", gpu_json(report.gpus[rank]))
                                             .close();
    }
    object.add_json("places", "[" + list + "]").add("warnings", std::span(report.warnings));
    std::cout << object.close() << '\n';
}

}  // namespace

int run_doctor(std::span<std::string const> arguments) {
    auto ranks = parallel::MpiCommunicator::world();
    bool const speaks = ranks.rank() == 0;
    Grammar grammar{"doctor", {}, po::options_description("Options")};
    grammar.options.add_options()("json", "everything as one JSON object, for programs");
    auto const values = parse_arguments(grammar, arguments, speaks);
    if (!values) return exit_code::success;

    Report report{
        .facts = {}, .places = gather_places(ranks), .gpus = gather_gpus(ranks), .warnings = {}};
    if (!speaks) return exit_code::success;
    report.facts = list_facts(report.gpus);
    report.warnings = find_warnings(report.places);
    std::ranges::move(find_far_ranks(report.gpus, report.places),
                      std::back_inserter(report.warnings));
    auto const print = values->contains("json") ? print_json : print_text;
    print(report);
    return exit_code::success;
}

}  // namespace tesserank::app
