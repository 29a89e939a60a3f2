#include "app/bench_session.hpp"

#include "app/usage_error.hpp"
#include "io/model_file/set_weight_source.hpp"
#include "io/plan_file.hpp"
#include "io/synthetic_weights.hpp"
#include "kernels/error.hpp"
#include "kernels/random.hpp"
#include "model/generate.hpp"
#include "model/residual_route.hpp"
#include "parallel/agree.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <utility>

namespace tesserank::app {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t most_tokens = std::size_t{1} << 30;

double seconds_between(Clock::time_point first, Clock::time_point last) {
    return std::chrono::duration<double>(last - first).count();
}

std::string mebibytes(std::size_t bytes) { return std::to_string(bytes >> 20U) + " MiB"; }

/// Any tokens will do, as long as every plan gets the same.
std::vector<std::int32_t> prompt_of(std::size_t sequence, std::size_t tokens,
                                    std::size_t vocabulary) {
    std::vector<std::int32_t> prompt(tokens);
    for (std::size_t i = 0; i < tokens; ++i) {
        double const draw = kernels::uniform_draw(0, sequence, 0, static_cast<std::uint32_t>(i));
        prompt[i] = static_cast<std::int32_t>(draw * static_cast<double>(vocabulary));
    }
    return prompt;
}

}  // namespace

BenchSession::BenchSession(BenchOptions const& options, parallel::MpiCommunicator& ranks,
                           Progress& progress)
    : options_{options},
      ranks_{ranks},
      progress_{progress},
      device_{{.backend = options.backend,
               .comm = options.comm,
               .fused = options.fused,
               .queue_seconds = options.watch.queue_seconds()},
              ranks} {
    open_model();
    check_workloads();
    bounds_ = device_.options(forward_options(
        model_.config,
        {.compute = options_.dtype == "bf16" ? kernels::DType::bf16 : kernels::DType::f32,
         .weights = weight_format_of(options_.weights)},
        options_.prefill_chunk));
    for (auto const& wish : options_.placements) candidates_.push_back(plan(wish));
    check_memory();
    for (auto& candidate : candidates_) load(candidate);
}

BenchSession::~BenchSession() = default;

/// From a config.json alone, or with weights from a model file.
void BenchSession::open_model() {
    std::optional<ConfigText> config;
    parallel::agree(ranks_, [&] {
        if (ranks_.rank() == 0) config = read_config_text(options_.model);
    });
    // Rank 0's text for all: others may see another one.
    if (ranks_.all_sum(config ? 1 : 0) == 0) {
        auto index = io::open_model(options_.model, ranks_);
        parallel::agree(ranks_, [&] { model_ = planned_from(index); });
        source_ = io::open_weights(index, ranks_, device_.backend(), {});
        weights_ = "file";
        return;
    }
    ConfigText shared{ranks_.broadcast_text(config ? config->path : "", 0),
                      ranks_.broadcast_text(config ? config->text : "", 0)};
    parallel::agree(ranks_, [&] { model_ = planned_from(shared); });
    source_ = std::make_unique<io::SyntheticWeights>(
        model::describe_modules(model_.config), model_.dtype_of, ranks_.rank(), device_.backend());
    weights_ = "synthetic";
}

void BenchSession::check_workloads() const {
    std::size_t const length = options_.prompt + options_.new_tokens;
    if (length > model_.config.context) {
        throw UsageError("--prompt and --new make sequences of " + std::to_string(length) +
                         " tokens, but the model's context is " +
                         std::to_string(model_.config.context));
    }
    if (!options_.tiles.empty() && !model_.config.vision) {
        throw UsageError("--tiles is for models with a vision encoder, which this one has not");
    }
    auto const largest =
        options_.batches.empty() ? std::size_t{0} : std::ranges::max(options_.batches);
    if (largest * length > most_tokens) {
        throw UsageError("--batch " + std::to_string(largest) + " of " + std::to_string(length) +
                         " tokens each is beyond 2^30 tokens in all");
    }
}

/// Rank 0's plan for all: others may not see a plan file, or see another one.
model::PlacementPlan BenchSession::agree_on_plan(std::string const& wish) {
    auto const modules = model::describe_modules(model_.config);
    std::string text;
    parallel::agree(ranks_, [&] {
        if (ranks_.rank() != 0) return;
        text =
            io::plan_text(plan_for(model_.config, wish, ranks_.size(), bounds_.compute), modules);
    });
    text = ranks_.broadcast_text(std::move(text), 0);
    model::PlacementPlan plan;
    parallel::agree(ranks_, [&] {
        plan = io::parse_plan(text, "the plan", modules, ranks_.size());
        if (plan.streams.empty()) model::settle_streams(plan, modules, bounds_.compute);
    });
    return plan;
}

BenchSession::Candidate BenchSession::plan(std::string const& wish) {
    auto const plan = agree_on_plan(wish);
    Candidate candidate;
    candidate.times.placement = wish;
    parallel::agree(ranks_, [&] {
        auto const facts_of = [&](model::Workload const& workload) -> model::PlanFacts const& {
            return candidate.facts.emplace_back(
                model::facts_of(model_.config, plan, bounds_, workload, model_.dtype_of));
        };
        for (auto const batch : options_.batches) {
            model::Workload const workload{batch, options_.prompt, options_.new_tokens, 1};
            auto const& facts = facts_of(workload);
            candidate.times.batches.push_back({.workload = workload,
                                               .prefill = {},
                                               .decode = {},
                                               .total = {},
                                               .host = {},
                                               .prefill_traffic = traffic_of(facts.prefill),
                                               .decode_traffic = traffic_of(facts.decode)});
        }
        for (auto const tiles : options_.tiles) {
            auto const& facts =
                facts_of({.batch = 1, .prompt = 1, .new_tokens = 1, .tiles = tiles});
            candidate.times.encodings.push_back(
                {.tiles = tiles, .encode = {}, .traffic = traffic_of(facts.encode)});
        }
    });
    auto const& facts = candidate.facts.front();
    for (std::size_t rank = 0; rank < facts.ranks.size(); ++rank) {
        candidate.times.weight_bytes.push_back(facts.ranks[rank].weight_bytes);
        std::size_t encoder = facts.ranks[rank].vision_bytes;
        for (auto const& module : facts.modules) {
            if (model::is_vision(module.name)) encoder += module.weight_bytes[rank];
        }
        candidate.times.encoder_bytes.push_back(encoder);
    }
    return candidate;
}

/// The cache stays as large as its largest batch.
std::size_t BenchSession::Candidate::bytes_on(std::size_t rank) const {
    std::size_t most = 0;
    for (auto const& fact : facts) most = std::max(most, fact.ranks[rank].total());
    return most;
}

void BenchSession::check_memory() {
    parallel::agree(ranks_, [&] {
        std::size_t needed = 0;
        for (auto const& candidate : candidates_) {
            needed += candidate.bytes_on(static_cast<std::size_t>(ranks_.rank()));
        }
        std::size_t const free = device_.memory_share();
        if (needed <= free) return;
        throw kernels::InputError(
            "the " + std::to_string(candidates_.size()) + " plan(s) take " + mebibytes(needed) +
            " on this rank together, but its share of the free memory is " + mebibytes(free) +
            "; measure fewer at a time, or smaller batches");
    });
}

void BenchSession::load(Candidate& candidate) {
    progress_.show("loading " + candidate.times.placement);
    auto const start = Clock::now();
    parallel::agree(ranks_, [&] {
        candidate.transformer = std::make_unique<model::Transformer>(
            model_.config, candidate.facts.front().plan, device_.backend(), device_.tensors(),
            *source_, bounds_);
    });
    candidate.transformer->load();
    candidate.times.load_seconds = slowest(seconds_between(start, Clock::now()));
}

BenchReport BenchSession::measure() {
    for (std::size_t batch = 0; batch < options_.batches.size(); ++batch) {
        measure_rounds("batch " + std::to_string(options_.batches[batch]),
                       [&](Candidate& plan, bool counts) { run(plan, batch, counts); });
    }
    for (std::size_t index = 0; index < options_.tiles.size(); ++index) {
        measure_rounds(std::to_string(options_.tiles[index]) + " tile(s)",
                       [&](Candidate& plan, bool counts) { encode(plan, index, counts); });
    }
    BenchReport report{.title = model_.title,
                       .backend = std::string(device_.backend().name()),
                       .dtype = std::string(kernels::name_of(bounds_.compute)),
                       .weights = weights_,
                       .weight_format = options_.weights,
                       .ranks = ranks_.size(),
                       .ranks_on_node = ranks_.ranks_on_node(),
                       .warmup = options_.warmup,
                       .repeat = options_.repeat,
                       .plans = {}};
    for (auto& candidate : candidates_) report.plans.push_back(std::move(candidate.times));
    return report;
}

void BenchSession::measure_rounds(std::string const& what,
                                  std::function<void(Candidate&, bool)> const& run) {
    std::size_t const rounds = options_.warmup + options_.repeat;
    for (std::size_t round = 0; round < rounds; ++round) {
        for (std::size_t i = 0; i < candidates_.size(); ++i) {
            auto& candidate = candidates_[(i + round) % candidates_.size()];
            progress_.show(what + ", round " + std::to_string(round + 1) + " of " +
                           std::to_string(rounds) + ", " + candidate.times.placement);
            run(candidate, round >= options_.warmup);
        }
    }
}

void BenchSession::run(Candidate& candidate, std::size_t batch, bool counts) {
    auto const requests = requests_of(options_.batches[batch]);
    std::vector<double> host_seconds;
    ranks_.barrier();
    auto const start = Clock::now();
    Clock::time_point prefilled;
    auto const results = model::generate(*candidate.transformer, ranks_, requests,
                                         {.eos_ids = {},
                                          .text = nullptr,
                                          .logits = nullptr,
                                          .prefilled = [&] { prefilled = Clock::now(); },
                                          .host_seconds = &host_seconds});
    auto const end = Clock::now();
    for (auto const& result : results) {
        kernels::require(result.tokens.size() == options_.new_tokens, "a sequence ended early");
    }
    double const prefill = slowest(seconds_between(start, prefilled));
    double const total = slowest(seconds_between(start, end));
    if (!counts) return;
    auto& times = candidate.times.batches[batch];
    times.prefill.seconds.push_back(prefill);
    times.decode.seconds.push_back(total - prefill);
    times.total.seconds.push_back(total);
    std::ranges::copy(host_seconds, std::back_inserter(times.host.seconds));
}

void BenchSession::encode(Candidate& candidate, std::size_t index, bool counts) {
    std::size_t const count = options_.tiles[index];
    auto const& vision = *model_.config.vision;
    if (ranks_.rank() == 0 && !tiles_) {
        tiles_.emplace(std::ranges::max(options_.tiles), vision.side);
    }
    ranks_.barrier();
    auto const start = Clock::now();
    candidate.transformer->encode(ranks_,
                                  tiles_ ? tiles_->first(count) : std::span<model::Tile const>(),
                                  count * vision.features_per_tile());
    device_.backend().synchronize();
    double const seconds = slowest(seconds_between(start, Clock::now()));
    if (counts) candidate.times.encodings[index].encode.seconds.push_back(seconds);
}

double BenchSession::slowest(double seconds) {
    return -1e-9 * static_cast<double>(ranks_.all_min(-static_cast<long long>(1e9 * seconds)));
}

/// On rank 0, which has the requests of a batch.
std::vector<model::GenerateRequest> BenchSession::requests_of(std::size_t batch) const {
    std::vector<model::GenerateRequest> requests(ranks_.rank() == 0 ? batch : 0);
    for (std::size_t i = 0; i < requests.size(); ++i) {
        requests[i].id = std::to_string(i);
        requests[i].prompt = prompt_of(i, options_.prompt, model_.config.vocabulary);
        requests[i].max_new_tokens = options_.new_tokens;
        requests[i].stop.ignore_eos = true;
    }
    return requests;
}

}  // namespace tesserank::app
