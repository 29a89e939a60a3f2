#include "app/command.hpp"
#include "app/exit_code.hpp"
#include "app/same_program.hpp"
#include "io/hdf5/start.hpp"
#include "kernels/error.hpp"
#include "parallel/agree.hpp"
#include "parallel/mpi_communicator.hpp"
#include "parallel/mpi_library.hpp"
#include "parallel/mpi_session.hpp"
#include "parallel/whereabouts.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <initializer_list>
#include <iostream>
#include <string>
#include <vector>

namespace tesserank::app {
namespace {

constexpr std::array commands{
    Command{"convert", "Hugging Face folder -> model file (in parallel under mpirun)", Ranks::any,
            run_convert},
    Command{"inspect", "what is in a model file", Ranks::one, run_inspect},
    Command{"verify", "every checksum of a model file (in parallel under mpirun)", Ranks::many,
            run_verify},
    Command{"plan", "where every weight will live, and what is sent", Ranks::one, run_plan},
    Command{"calibrate", "what work and messages cost on this machine (under mpirun)", Ranks::many,
            run_calibrate},
    Command{"tokenize", "text -> tokens, or back with --decode; JSONL on stdin and stdout",
            Ranks::one, run_tokenize},
    Command{"generate", "complete prompts (under mpirun)", Ranks::many, run_generate},
    Command{"score", "the likelihood of given completions (under mpirun)", Ranks::many, run_score},
    Command{"merge", "result files of a job array, joined and checked", Ranks::one, run_merge},
    Command{"bench", "how fast placements are, measured in turn (under mpirun)", Ranks::many,
            run_bench},
    Command{"doctor", "what this machine and this build offer", Ranks::many, run_doctor},
};

void print_help() {
    std::cout
        << "tesserank: transformer inference as an MPI job, with a placement for every module\n\n"
           "Usage: tesserank COMMAND [arguments]      tesserank COMMAND --help\n\n";
    for (auto const& command : commands) {
        std::cout << "  " << command.name << std::string(12 - command.name.size(), ' ')
                  << command.summary << '\n';
    }
}

/// One line of one write, so that lines of several ranks do not mix.
void print_error(std::string const& message) {
    std::cerr << ("tesserank: " + message + "\n") << std::flush;
}

/// Open MPI, MPICH and Slurm tell each process its rank, and how many there are, before MPI is
/// started.
int launcher_number(std::initializer_list<char const*> names, int otherwise) {
    for (auto const* name : names) {
        if (auto const* text = std::getenv(name)) return std::atoi(text);
    }
    return otherwise;
}
int launched_ranks() {
    return launcher_number({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}, 1);
}
int launched_rank() {
    return launcher_number({"OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"}, 0);
}

int run_alone(Command const& command, std::span<std::string const> arguments) {
    if (launched_ranks() > 1) {
        throw UsageError(std::string(command.name) +
                         " runs as one process: start it without mpirun or srun");
    }
    return command.run(arguments);
}

/// Under the launcher of another MPI every process would be a job of its own, all with the same
/// output.
void check_launcher() {
    if (launched_ranks() <= 1 || parallel::MpiSession::size() > 1) return;
    throw kernels::SystemError("the launcher started " + std::to_string(launched_ranks()) +
                               " processes, but MPI sees each alone. Use the launcher of the MPI "
                               "that tesserank was built with: " +
                               parallel::mpi_library_version());
}

/// An error that all ranks know of is printed once and ends the job in order. Any other would leave
/// the rest waiting for this rank: it ends them all.
int run_on_ranks(Command const& command, std::span<std::string const> arguments, int& argc,
                 char**& argv) {
    parallel::MpiSession const session(argc, argv);
    check_launcher();
    int const rank = parallel::MpiSession::rank();
    bool const alone = parallel::MpiSession::size() == 1;
    try {
        check_same_program();
        return command.run(arguments);
    } catch (std::exception const& error) {
        bool const everyones = alone || dynamic_cast<parallel::Agreed const*>(&error) != nullptr ||
                               dynamic_cast<UsageError const*>(&error) != nullptr;
        if (everyones) {
            if (rank == 0) print_error(parallel::text_of(error));
            return exit_code::of(error);
        }
        print_error(parallel::rank_and_place(rank) + ": " + parallel::text_of(error));
        parallel::MpiSession::abort(exit_code::of(error));
    }
}

int run(int argc, char** argv) {
    std::vector<std::string> const words(argv + 1, argv + argc);
    if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
        print_help();
        return words.empty() ? exit_code::usage : exit_code::success;
    }
    if (words[0] == "--version") {
        std::cout << "tesserank " TESSERANK_VERSION "\n";
        return exit_code::success;
    }
    std::string names;
    for (auto const& command : commands) {
        if (command.name != words[0]) {
            names += (names.empty() ? "" : ", ") + std::string(command.name);
            continue;
        }
        std::span<std::string const> const arguments(words.begin() + 1, words.end());
        bool const alone = command.ranks == Ranks::any && launched_ranks() <= 1;
        if (alone || command.ranks == Ranks::one) {
            return run_alone(command, arguments);
        }
        return run_on_ranks(command, arguments, argc, argv);
    }
    throw UsageError("unknown command \"" + words[0] + "\", expected one of " + names);
}

/// No file is to get the number of a standard stream that was closed: its stand-in can be neither
/// read nor written, and says so where it is used.
void fill_standard_streams() {
    for (int const stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (fcntl(stream, F_GETFD) >= 0) continue;
        static_cast<void>(open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY));
    }
}

}  // namespace
}  // namespace tesserank::app

int main(int argc, char** argv) {
    tesserank::app::fill_standard_streams();
    // A write beyond the file size limit or to a closed pipe is to fail with an error, not to kill
    // the process.
    std::signal(SIGXFSZ, SIG_IGN);
    std::signal(SIGPIPE, SIG_IGN);
    tesserank::io::start_h5();
    try {
        return tesserank::app::run(argc, argv);
    } catch (std::exception const& error) {
        // Before MPI runs, all ranks find the same mistake.
        if (tesserank::app::launched_rank() == 0)
            tesserank::app::print_error(tesserank::parallel::text_of(error));
        return tesserank::app::exit_code::of(error);
    }
}
