#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tesserank::app {

/// How a command uses MPI.
enum class Ranks : unsigned char {
    one,   ///< never starts MPI; refuses to be started as one of several ranks
    many,  ///< runs inside an MpiSession, on any number of ranks
    any,   ///< the same where a launcher started several; alone it never starts MPI
};

/// A word behind `tesserank`. `run` gets what stands behind the word and returns the exit status.
struct Command {
    std::string_view name, summary;
    Ranks ranks;
    int (*run)(std::span<std::string const> arguments);
};

int run_convert(std::span<std::string const> arguments);
int run_inspect(std::span<std::string const> arguments);
int run_plan(std::span<std::string const> arguments);
int run_calibrate(std::span<std::string const> arguments);
int run_verify(std::span<std::string const> arguments);
int run_tokenize(std::span<std::string const> arguments);
int run_doctor(std::span<std::string const> arguments);
int run_generate(std::span<std::string const> arguments);
int run_score(std::span<std::string const> arguments);
int run_merge(std::span<std::string const> arguments);
int run_bench(std::span<std::string const> arguments);

}  // namespace tesserank::app
