#pragma once

#include "app/device_options.hpp"
#include "app/watch_options.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tesserank::app {

/// The command line of `bench`.
struct BenchOptions {
    std::string model;                             ///< a model file, a config.json or its folder
    std::vector<std::string> placements{"shard"};  ///< may name one several times
    std::vector<std::size_t> batches{1, 8};
    std::vector<std::size_t>
        tiles;  ///< that a vision encoder encodes; then no batches unless given
    std::size_t prompt = 128, new_tokens = 32;
    std::size_t repeat = 5, warmup = 1;
    std::size_t prefill_chunk = 512;
    std::string backend = "auto";
    std::string comm = "auto";
    FusedOptions fused;
    std::string dtype = "f32";
    std::string weights = "file";
    std::string json;  ///< file for the result, "-" for stdout; empty: none
    WatchOptions watch;
    bool quiet = false;
};

/// nullopt after --help, which it prints on rank 0.  Errors: UsageError.
std::optional<BenchOptions> parse_bench_options(std::span<std::string const> arguments,
                                                bool print_help);

/// Errors: InputError if --json would replace the model or a plan file. Looks at the file system,
/// so it is one rank's to ask.
void check_paths(BenchOptions const& options);

}  // namespace tesserank::app
