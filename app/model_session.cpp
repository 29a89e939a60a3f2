#include "app/model_session.hpp"

#include "app/plan_options.hpp"
#include "app/prompt_tools.hpp"
#include "app/run_plan.hpp"
#include "io/journal/running_hash.hpp"
#include "io/model_file/set_index.hpp"
#include "io/model_file/set_weight_source.hpp"
#include "io/model_file/stopwatch.hpp"
#include "io/requests/config_json.hpp"
#include "io/requests/generation_defaults.hpp"
#include "kernels/error.hpp"
#include "kernels/host_memory.hpp"
#include "kernels/phase.hpp"
#include "model/candidates.hpp"
#include "model/config_reader.hpp"
#include "model/decode_memory.hpp"
#include "model/module_spec.hpp"
#include "model/placement_rules.hpp"
#include "parallel/agree.hpp"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <sstream>
#include <string_view>
#include <utility>

namespace tesserank::app {
namespace {

using kernels::DType;
using kernels::InputError;

/// Left for what is not counted: libraries, requests and results.
constexpr double usable_share = 0.8;
constexpr std::size_t fallback_new_tokens = 256;

io::LoadMode load_mode(std::string const& name) {
    if (name == "direct") return io::LoadMode::direct;
    return name == "auto" ? io::LoadMode::automatic : io::LoadMode::cooperative;
}

/// Each token of a prompt may be a feature, of a tile that rank 0 has in the host's memory.
std::size_t picture_bytes_per_token(model::DecoderConfig const& config, bool holds_tiles) {
    if (!config.vision) return 0;
    std::size_t const features = config.vision->features_per_tile();
    std::size_t const tile = (config.vision->tile_bytes() + features - 1) / features;
    return config.hidden * sizeof(float) + (holds_tiles ? tile : 0);
}

std::string text_of(std::optional<std::size_t> const& number) {
    return number ? std::to_string(*number) : "by itself";
}

/// The most tokens that each sequence of a batch may have: every rank holds the keys and values of
/// all of them, of those that it owns, or of both kinds in different layers.
std::size_t longest_sequences(std::span<CacheRoom const> rooms, std::size_t batch,
                              model::PlacementPlan const& plan) {
    parallel::Partition const deal(batch, plan.owners());
    std::size_t longest = std::numeric_limits<std::size_t>::max();
    for (std::size_t rank = 0; rank < rooms.size(); ++rank) {
        auto const own = deal.count(plan.owner_of(static_cast<int>(rank)));
        auto const& room = rooms[rank];
        std::size_t const per_position = room.per_token * batch + room.per_own_token * own;
        std::size_t const tables = std::min(room.bytes, room.per_row * model::decode_bucket(batch));
        if (per_position > 0) longest = std::min(longest, (room.bytes - tables) / per_position);
        if (room.encoder == 0) continue;
        std::size_t const features = room.bytes - std::min(room.bytes, room.encoder);
        longest = std::min(longest, features / (room.per_feature * batch));
    }
    return longest;
}

}  // namespace

ModelSession::ModelSession(RunOptions const& options, parallel::MpiCommunicator& ranks)
    : options_{options},
      ranks_{ranks},
      index_{open_index()},
      device_{{.backend = options.backend,
               .comm = options.comm,
               .fused = options.fused,
               .queue_seconds = options.watch.queue_seconds()},
              ranks} {
    // The job's memory may be no more than a word that nothing enforces.
    if (options_.memory_limit) kernels::heed_slurm_memory(false);
    parallel::agree(ranks_, [this] { describe(); });
    source_ =
        io::open_weights(index_, ranks_, device_.backend(), {.mode = load_mode(options_.load)});
    parallel::agree(ranks_, [this] { model::check_batch_wishes(batch_wishes()); });
    auto bounds = device_.options(forward_options());
    bounds.check_finite = options_.check_finite;
    bounds.resident &= !options_.check_finite;
    auto const free = device_.memory_share();
    auto const share = static_cast<std::size_t>(ranks_.all_min(
        static_cast<long long>(std::min(free, options_.memory_limit.value_or(free)))));
    RunPlanInput const input{.model = {config_, bounds, dtype_of_, ranks_.size()},
                             .bytes_per_rank = share,
                             .new_tokens = options_.scores ? 1 : default_max_new_tokens_,
                             .candidates = usual_candidates(),
                             .set = index_.set.get()};
    auto plan = plan_for_run(options_, input, device_, ranks_);
    parallel::agree(ranks_, [&] {
        bounds.vision.keep = keeps_vision(options_, input, plan);
        transformer_ = std::make_unique<model::Transformer>(
            config_, std::move(plan), device_.backend(), device_.tensors(), *source_, bounds);
    });
}

ModelSession::~ModelSession() = default;

io::ModelIndex ModelSession::open_index() {
    kernels::Phase const phase("opening the model");
    io::ModelIndex index;
    open_seconds_ = io::seconds_of([&] { index = io::open_model(options_.model, ranks_); });
    return index;
}

void ModelSession::describe() {
    auto const where = options_.model + ": /";
    config_ = config_of(index_);
    eos_ids_ = config_.eos_ids;
    default_max_new_tokens_ = options_.max_new_tokens.value_or(fallback_new_tokens);
    dtype_of_ = dtypes_of(index_);
    if (auto const* generation = index_.find_document("generation_config")) {
        auto const value = io::parse_config(*generation, where + "generation_config");
        auto const* object = std::get_if<model::ConfigValue::Object>(&value.value);
        if (object == nullptr) throw InputError(where + "generation_config is not a JSON object");
        model::ConfigReader reader(*object, where + "generation_config");
        if (reader.has("eos_token_id")) eos_ids_ = reader.token_ids("eos_token_id");
        default_max_new_tokens_ =
            options_.max_new_tokens.value_or(reader.size_or("max_new_tokens", fallback_new_tokens));
        sampling_ = io::default_sampling(value);
    }
    sampling_.seed = options_.seed;
    auto const* tokenizer = index_.find_document("tokenizer");
    if (ranks_.rank() == 0 && tokenizer != nullptr) {
        tokenizer_ = io::Tokenizer::from_json(*tokenizer, where + "tokenizer");
    }
}

model::TransformerOptions ModelSession::forward_options() const {
    auto options =
        app::forward_options(config_,
                             {.compute = options_.dtype == "bf16" ? DType::bf16 : DType::f32,
                              .weights = weight_format_of(options_.weights)},
                             options_.prefill_chunk);
    set_scaling(options.vision, index_, config_);
    options.vision.max_tiles = options_.vision_chunk;
    // A plan needs room for the encoder beside the batch only when that is asked for.
    options.vision.keep = options_.keep_vision == "yes";
    return options;
}

void ModelSession::load(std::optional<model::BatchLimits> const& before) {
    kernels::Phase const phase("loading");
    bound_staging();
    transformer_->load();
    auto const rooms = gather_cache_rooms();
    parallel::agree(ranks_, [&] {
        auto input = batch_wishes();
        if (before && !input.batch) input.batch = before->batch;
        if (before && !input.max_length) input.max_length = before->max_length;
        input.owners = transformer_->owners();
        if (config_.vision) input.counted = "keys and values and pictures";
        input.length_for = [&](std::size_t batch) {
            return longest_sequences(rooms, batch, transformer_->plan());
        };
        limits_ = model::choose_batch_limits(input);
    });
}

/// On a host what has been read waits in no more memory than the forward pass will take, whose
/// pages are not there yet: so that loading does not exceed the plan. A device has its own.
void ModelSession::bound_staging() {
    if (!transformer_->options().on_host) return;
    source_->bound_staging(transformer_->forward_bytes() / 4);
}

model::BatchLimitInput ModelSession::batch_wishes() const {
    return {.context = config_.context,
            .length_for = {},
            .batch = options_.batch,
            .max_length = options_.max_length};
}

/// Of every rank, on every rank. Collective.
std::vector<CacheRoom> ModelSession::gather_cache_rooms() {
    std::size_t const taken = transformer_->weight_bytes() + transformer_->forward_bytes();
    bool const holds_tiles =
        ranks_.rank() == model::choosing_rank && transformer_->options().on_host;
    std::size_t const per_feature = picture_bytes_per_token(config_, holds_tiles);
    CacheRoom mine{
        .bytes = std::min(
            static_cast<std::size_t>(static_cast<double>(device_.memory_share()) * usable_share),
            options_.memory_limit ? *options_.memory_limit - std::min(*options_.memory_limit, taken)
                                  : std::numeric_limits<std::size_t>::max()),
        .per_token = transformer_->cache_bytes(1, 0) + per_feature,
        .per_own_token = transformer_->cache_bytes(0, 1),
        .per_row = transformer_->decode_bytes(1),
        .per_feature = per_feature,
        .encoder = transformer_->released_bytes()};
    // Of the tile that is being scaled.
    std::size_t const planes =
        config_.vision && holds_tiles ? config_.vision->tile_bytes() * sizeof(float) : 0;
    mine.bytes -= std::min(mine.bytes, planes);
    std::vector<CacheRoom> rooms(static_cast<std::size_t>(ranks_.size()));
    std::vector<std::size_t> const bytes(rooms.size(), sizeof(CacheRoom));
    ranks_.all_gather(std::as_bytes(std::span(&mine, 1)), bytes,
                      std::as_writable_bytes(std::span(rooms)));
    return rooms;
}

io::RequestLimits ModelSession::request_limits() const {
    std::string_view length_of = "the context";
    if (limits_.max_length < config_.context) length_of = "the memory";
    if (options_.max_length) length_of = "--max-length";
    return {.vocabulary = config_.vocabulary,
            .max_length = limits_.max_length,
            .max_length_of = length_of,
            .default_max_new_tokens = default_max_new_tokens_,
            .sampling = sampling_};
}

io::PromptTools ModelSession::prompt_tools() const {
    return app::prompt_tools(options_, index_, config_, tokenizer());
}

io::RunIdentity ModelSession::identity() const {
    io::RunningHash model;
    model.append(io::model_sha256(index_.sources, index_.all_tensors()));
    for (auto const& [name, text] : index_.documents) model.append(name + text);
    auto const& forward = transformer_->options();
    auto const& plan = transformer_->plan();
    // Pictures are looked for beside the input.
    std::error_code no_folder;
    auto const folder = std::filesystem::weakly_canonical(options_.input, no_folder).parent_path();
    return {.bound = {{"batch", std::to_string(limits_.batch)},
                      {"pictures-in", config_.vision ? folder.string() : ""},
                      {"max-length", std::to_string(limits_.max_length)},
                      {"max-new-tokens", std::to_string(default_max_new_tokens_)},
                      {"seed", std::to_string(options_.seed)},
                      {"dtype", std::string(kernels::name_of(forward.compute))},
                      {"weights", options_.weights},
                      {"max-tiles", text_of(options_.max_tiles)},
                      {"max-image-pixels", text_of(options_.max_image_pixels)},
                      {"max-image-bytes", text_of(options_.max_image_bytes)},
                      {"image-token", text_of(options_.image_token)},
                      {"model", model.digest()}},
            .loose = {{"version", TESSERANK_VERSION},
                      {"ranks", std::to_string(ranks_.size())},
                      {"placement", model::wish_for(plan, model::describe_modules(config_))},
                      {"device", device_.summary()},
                      {"prefill-chunk", std::to_string(options_.prefill_chunk)},
                      {"vision-chunk", std::to_string(options_.vision_chunk)}}};
}

std::size_t ModelSession::usual_candidates() const {
    model::GenerateRequest request;
    request.sampling = sampling_;
    return model::candidates_for(request, config_.vocabulary);
}

std::string ModelSession::plan_summary() const {
    model::Workload const workload{.batch = limits_.batch, .candidates = usual_candidates()};
    auto const& options = transformer_->options();
    return app::plan_summary({config_, options, dtype_of_, ranks_.size()}, transformer_->plan(),
                             model::decode_shapes(workload, options).front());
}

std::string const& ModelSession::placement_words() const {
    return index_.set ? index_.set->placement : options_.placement;
}

LoadSummary ModelSession::load_summary() {
    auto mine = source_->report();
    mine.open_seconds += open_seconds_;
    LoadSummary summary{.by_rank = io::gather_reports(mine, ranks_)};
    for (auto const& tensor : index_.all_tensors()) summary.weight_bytes += tensor.bytes;
    return summary;
}

std::string_view ModelSession::vision_words() const {
    if (!config_.vision) return "";
    return transformer_->options().vision.keep ? ", vision encoder kept"
                                               : ", vision encoder loaded for each batch";
}

std::string ModelSession::summary() const {
    std::size_t parameters = 0;
    for (auto const& tensor : index_.all_tensors()) parameters += tensor.elements();
    std::ostringstream text;
    text << config_.model_type << ", " << static_cast<double>(parameters) / 1e6 << " M parameters, "
         << config_.layers << " layers; " << ranks_.size() << " rank(s), placement "
         << placement_words() << ", " << device_.summary() << ", dtype "
         << kernels::name_of(transformer_->options().compute)
         << (options_.weights == "fp8" ? ", weights fp8" : "") << vision_words() << ", batch "
         << limits_.batch << ", at most " << limits_.max_length << " tokens a sequence";
    return text.str();
}

}  // namespace tesserank::app
