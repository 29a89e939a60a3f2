#include "app/run_options.hpp"

#include "app/arguments.hpp"
#include "app/device_options.hpp"
#include "app/plan_options.hpp"
#include "app/time_limit.hpp"
#include "app/usage_error.hpp"
#include "io/journal/journal.hpp"
#include "io/model_file/set_index.hpp"
#include "io/requests/partial_file.hpp"
#include "kernels/error.hpp"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>
#include <vector>

namespace tesserank::app {
namespace {

namespace po = boost::program_options;

NumberRange const counts{1, 1LL << 31, "1 to 2^31"};
NumberRange const tiles_at_once{1, 1 << 16, "1 to 65536"};
NumberRange const seeds{0, std::numeric_limits<long long>::max(), "0 to 2^63 - 1"};

NumberRange const tokens{0, std::numeric_limits<std::int32_t>::max(), "0 to 2^31 - 1"};

void add_image_options(po::options_description_easy_init& add, RunOptions& options) {
    add("max-tiles", po::value<long long>()->value_name("N"),
        "most tiles that a picture is cut into, besides its thumbnail; by default what the model "
        "says");
    add("max-image-pixels", po::value<long long>()->value_name("N"),
        "larger pictures are refused (100000000)");
    add("max-image-bytes", po::value<std::string>()->value_name("SIZE"),
        "larger files of pictures are refused (64M)");
    add("image-features", po::value(&options.image_features)->value_name("FILE.h5"),
        "also write what the vision encoder makes of pictures: /features/<id>/<picture>");
    add("vision-chunk", po::value<long long>()->value_name("N"),
        "tiles of pictures per pass of the vision encoder; by default those of about 4096 rows");
    add("keep-vision", po::value(&options.keep_vision)->value_name("WHEN"),
        "whether the vision encoder stays in memory between batches: yes, no (each batch with "
        "pictures loads it again, and it makes room for keys and values), or auto (where a batch "
        "has room beside it)");
    add("image-token", po::value<long long>()->value_name("ID"),
        "the token in whose place a picture's features stand, for a model that does not say");
}

Grammar grammar(std::string_view command, RunOptions& options) {
    Grammar grammar{std::string(command), {"MODEL.h5"}, po::options_description("Options")};
    auto add = grammar.options.add_options();
    add("input,i", po::value(&options.input)->value_name("FILE"),
        "requests, one JSON object per line; - for stdin");
    add("output,o", po::value(&options.output)->value_name("FILE"),
        "results, in the order of the input; - for stdout");
    add("logits", po::value(&options.logits)->value_name("FILE.h5"),
        "also write the logits: /<id>/logits");
    add("placement", po::value(&options.placement)->value_name("WISH"), placement_help);
    add("machine", po::value(&options.machine)->value_name("FILE.json"),
        "for --placement auto: what `tesserank calibrate` measured; by default a few seconds go "
        "into measuring");
    add("prompt", po::value<long long>()->value_name("N"),
        "for --placement auto: tokens of a usual prompt (128)");
    add("memory-limit", po::value<std::string>()->value_name("SIZE"),
        "what each rank may take for weights, caches and workspace, such as 80G; by default its "
        "share of the free memory");
    add("plan-out", po::value(&options.plan_out)->value_name("FILE.json"), "write the plan");
    add("load", po::value(&options.load)->value_name("HOW"),
        "cooperative (each byte is read once in the job and sent on), direct (each rank reads what "
        "it needs), or auto (begins cooperatively, goes on with what is faster here)");
    add("backend", po::value(&options.backend)->value_name("NAME"), backend_help);
    add("comm", po::value(&options.comm)->value_name("NAME"), comm_help);
    add("dtype", po::value(&options.dtype)->value_name("TYPE"),
        "what GEMMs read besides weights, and the KV cache: f32 (auto) or bf16");
    add("weights", po::value(&options.weights)->value_name("FORMAT"), weights_help);
    add("batch", po::value<long long>()->value_name("N"),
        "sequences that run together; by default what fits");
    add("max-length", po::value<long long>()->value_name("N"),
        "most tokens of a sequence, prompt included");
    add("max-new-tokens", po::value<long long>()->value_name("N"), "for requests that do not say");
    add("prefill-chunk", po::value<long long>()->value_name("N"),
        "prompt tokens per forward pass (512)");
    add("seed", po::value<long long>()->value_name("N"), "for requests that do not say (0)");
    add_image_options(add, options);
    add("resume", po::value(&options.resume)->value_name("HOW"),
        "auto (go on where a killed run has stopped, if there is one), no (start anew) or must");
    add("time-limit", po::value<std::string>()->value_name("TIME"),
        "stop in time to go on later: 90s, 15m, 2h, HH:MM:SS or D-HH:MM:SS; a Slurm job's own end "
        "is seen without it");
    add("grace", po::value<std::string>()->value_name("TIME"),
        "how long a batch may go on after SIGTERM, SIGINT or SIGUSR1 (25s); a second signal ends "
        "the job at once");
    add("check-finite", po::bool_switch(&options.check_finite),
        "name the first module whose output is NaN or infinite, in the errors of requests; slow, "
        "to find mistakes");
    add_fused_options(grammar.options, options.fused);
    add_watch_options(grammar.options, options.watch);
    add("quiet,q", po::bool_switch(&options.quiet), "no progress and no summary");
    add("log-json", po::bool_switch(&options.log_json), "progress as JSON lines on stderr");
    return grammar;
}

std::optional<std::chrono::seconds> duration_in(po::variables_map const& values,
                                                std::string const& name) {
    if (!values.contains(name)) return std::nullopt;
    auto const& text = values[name].as<std::string>();
    auto const duration = parse_duration(text);
    if (duration) return duration;
    throw UsageError("--" + name + " is \"" + text +
                     "\", expected a time such as 90s, 15m, 2h, HH:MM:SS or D-HH:MM:SS");
}

void check(RunOptions const& options) {
    auto const one_of = [](std::string_view name, std::string const& value,
                           std::initializer_list<std::string_view> allowed,
                           std::string_view expected) {
        for (auto const word : allowed) {
            if (word == value) return;
        }
        throw UsageError("--" + std::string(name) + " is \"" + value + "\", expected " +
                         std::string(expected));
    };
    check_backend_word(options.backend);
    check_comm_word(options.comm);
    one_of("load", options.load, {"auto", "cooperative", "direct"}, "auto, cooperative or direct");
    one_of("dtype", options.dtype, {"auto", "f32", "bf16"}, "auto, f32 or bf16");
    one_of("keep-vision", options.keep_vision, {"auto", "yes", "no"}, "auto, yes or no");
    static_cast<void>(weight_format_of(options.weights));
    one_of("resume", options.resume, {"auto", "no", "must"}, "auto, no or must");
    if (options.input.empty())
        throw UsageError("--input is missing: the file of requests, or - for stdin");
    if (options.output.empty())
        throw UsageError("--output is missing: the file for results, or - for stdout");
    if (options.output == "-" && options.plan_out == "-")
        throw UsageError("only one of --output and --plan-out can be -");
    bool const searches = options.placement == automatic;
    if (!searches && (!options.machine.empty() || options.prompt))
        throw UsageError("--machine and --prompt are for --placement auto");
}

/// Links followed, as far as the folders are there.
std::filesystem::path resolve(std::string const& path) {
    std::error_code error;
    auto resolved = std::filesystem::weakly_canonical(io::follow_links(path), error);
    return error ? std::filesystem::path(path) : resolved;
}

/// By name, or by a hard link.
bool are_same_file(std::string const& one, std::string const& other) {
    std::error_code ignored;
    return resolve(one) == resolve(other) || std::filesystem::equivalent(one, other, ignored);
}

}  // namespace

void check_paths(RunOptions const& options) {
    std::vector<NamedFile> files{{"the model", options.model}, {"--input", options.input}};
    if (!options.machine.empty()) files.emplace_back("--machine", options.machine);
    if (names_plan_file(options.placement)) files.emplace_back("--placement", options.placement);
    add_output(files, "--output", options.output);
    files.emplace_back("the journal of --output", io::journal_of(options.output));
    if (!options.logits.empty()) add_output(files, "--logits", options.logits);
    if (!options.image_features.empty()) {
        add_output(files, "--image-features", options.image_features);
    }
    if (!options.plan_out.empty()) add_output(files, "--plan-out", options.plan_out);
    check_distinct(files);
    check_outside_set(files, options.model);
}

void check_outside_set(std::span<NamedFile const> files, std::string const& model) {
    if (!io::is_set(model)) return;
    auto const folder = resolve(model);
    auto const inside = std::ranges::find_if(files, [&](NamedFile const& file) {
        return !file.second.empty() && resolve(file.second).parent_path() == folder;
    });
    if (inside == files.end()) return;
    throw kernels::InputError(inside->first + " is in the folder of the model: " + inside->second);
}

void add_output(std::vector<NamedFile>& files, std::string const& name, std::string const& path) {
    files.emplace_back(name, path);
    files.emplace_back(name + " while it is written", io::PartialFile(path).partial());
}

void check_distinct(std::span<NamedFile const> files) {
    for (auto one = files.begin(); one != files.end(); ++one) {
        // A device may be several of them.
        if (one->second == "-" || io::is_special_file(one->second)) continue;
        for (auto other = files.begin(); other != one; ++other) {
            if (!are_same_file(one->second, other->second)) continue;
            throw kernels::InputError(other->first + " and " + one->first +
                                      " are the same file: " + one->second);
        }
    }
}

std::optional<RunOptions> parse_run_options(std::string_view command,
                                            std::span<std::string const> arguments,
                                            bool print_help) {
    RunOptions options;
    auto values = parse_arguments(grammar(command, options), arguments, print_help);
    if (!values) return std::nullopt;
    po::notify(*values);
    options.model = (*values)["MODEL.h5"].as<std::string>();
    options.placement_given = values->contains("placement");
    options.batch = number_in(*values, "batch", counts);
    options.max_length = number_in(*values, "max-length", counts);
    options.max_new_tokens = number_in(*values, "max-new-tokens", counts);
    options.prefill_chunk =
        number_in(*values, "prefill-chunk", counts).value_or(options.prefill_chunk);
    options.vision_chunk =
        number_in(*values, "vision-chunk", tiles_at_once).value_or(options.vision_chunk);
    options.memory_limit = bytes_in(*values, "memory-limit");
    read_fused_options(*values, options.fused);
    options.scores = command == "score";
    options.max_tiles = number_in(*values, "max-tiles", counts);
    options.max_image_pixels = number_in(*values, "max-image-pixels", counts);
    options.max_image_bytes = bytes_in(*values, "max-image-bytes");
    options.image_token = number_in(*values, "image-token", tokens);
    options.prompt = number_in(*values, "prompt", counts);
    options.time_limit = duration_in(*values, "time-limit");
    options.grace = duration_in(*values, "grace").value_or(options.grace);
    options.seed = number_in(*values, "seed", seeds).value_or(options.seed);
    read_watch_options(*values, options.output, options.watch);
    check(options);
    return options;
}

}  // namespace tesserank::app
