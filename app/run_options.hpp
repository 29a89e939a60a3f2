#pragma once

#include "app/device_options.hpp"
#include "app/watch_options.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tesserank::app {

/// The command line of `generate` and `score`.
struct RunOptions {
    std::string model, input, output;
    std::string logits;          ///< HDF5 file for logits; empty: none
    std::string image_features;  ///< HDF5 file for what the vision encoder gives; empty: none
    std::string placement = "shard";
    bool placement_given = false;  ///< a set has a plan of its own
    std::string machine;           ///< file of `calibrate`, for --placement auto; empty: measure
    std::string plan_out;          ///< where the plan is written; empty: nowhere
    std::string load = "cooperative";
    std::string backend = "auto";
    std::string comm = "auto";
    FusedOptions fused;
    std::string dtype = "auto";
    std::string weights = "file";
    std::string resume = "auto";
    std::optional<std::chrono::seconds> time_limit;
    std::chrono::seconds grace{25};  ///< that a signal leaves
    std::optional<std::size_t> batch, max_length, max_new_tokens;
    std::optional<std::size_t> memory_limit;  ///< bytes that each rank may take
    std::optional<std::size_t> prompt;        ///< tokens of a usual prompt, for --placement auto
    std::optional<std::size_t> max_image_bytes, max_image_pixels;
    std::optional<std::size_t> max_tiles;    ///< of a picture
    std::optional<std::size_t> image_token;  ///< that stands for a part of a picture
    std::string keep_vision = "auto";
    std::size_t prefill_chunk = 512;
    std::size_t vision_chunk = 0;  ///< tiles; 0: see model::tiles_at_once()
    std::uint64_t seed = 0;
    bool check_finite = false;
    WatchOptions watch;
    bool scores = false;  ///< nothing is generated
    bool quiet = false;
    bool log_json = false;
};

/// Errors: InputError if two of the files that are read and written are the same one. Looks at the
/// file system, so it is one rank's to ask.
void check_paths(RunOptions const& options);

/// What a file is for, in messages, and its path.
using NamedFile = std::pair<std::string, std::string>;
/// Adds a file that is written, under the name that it has until it is complete too.
void add_output(std::vector<NamedFile>& files, std::string const& name, std::string const& path);
/// Errors: InputError naming one of them that lies in the folder of a set, where `model` is one.
/// The model's own files are not to be among them.
void check_outside_set(std::span<NamedFile const> files, std::string const& model);
/// Errors: InputError when two of them are the same file. A device or "-" may be several.
void check_distinct(std::span<NamedFile const> files);

/// nullopt after --help, which it prints on rank 0.  Errors: UsageError.
std::optional<RunOptions> parse_run_options(std::string_view command,
                                            std::span<std::string const> arguments,
                                            bool print_help);

}  // namespace tesserank::app
