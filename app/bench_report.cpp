#include "app/bench_report.hpp"

#include "io/requests/json_text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <span>
#include <string_view>

namespace tesserank::app {
namespace {

/// Rules for single layers can be longer than a screen is wide; the report for programs has them
/// whole.
std::string shortened(std::string const& placement) {
    constexpr std::size_t most = 48;
    return placement.size() <= most ? placement : placement.substr(0, most - 3) + "...";
}

using io::JsonObject;

std::string number(char const* format, double value) {
    std::array<char, 48> text{};
    std::snprintf(text.data(), text.size(), format, value);
    return text.data();
}

/// "1.23 ms (1.20 to 1.31)", of seconds divided by `parts`.
std::string spread(Timings const& timings, double parts = 1.0) {
    auto const text = [&](double seconds) { return number("%#.4g", 1e3 * seconds / parts); };
    return text(timings.median()) + " (" + text(timings.least()) + " to " + text(timings.most()) +
           ")";
}

double decode_steps(BatchTimes const& times) {
    return static_cast<double>(times.workload.new_tokens - 1);
}

/// The least median of all plans with this batch.
double fastest(BenchReport const& report, std::size_t batch) {
    double least = report.plans.front().batches[batch].total.median();
    for (auto const& plan : report.plans) {
        least = std::min(least, plan.batches[batch].total.median());
    }
    return least;
}

void print_batch(std::ostream& out, BenchReport const& report, std::size_t batch) {
    auto const& workload = report.plans.front().batches[batch].workload;
    out << "\nbatch " << workload.batch << ", prompt " << workload.prompt << ", new tokens "
        << workload.new_tokens << ": milliseconds, median (least to most) of " << report.repeat
        << " run(s)\n";
    Table table({"placement", "total", "times the best", "prefill", "prompt tokens/s",
                 "decode step", "new tokens/s", "collectives", "bytes"});
    double const best = fastest(report, batch);
    for (auto const& plan : report.plans) {
        auto const& times = plan.batches[batch];
        bool const decodes = times.workload.new_tokens > 1;
        auto const& prefill = times.prefill_traffic;
        auto const& decode = times.decode_traffic;
        table.add({shortened(plan.placement), spread(times.total),
                   number("%.2f", times.total.median() / best), spread(times.prefill),
                   number("%.0f", times.prompt_tokens_per_second()),
                   decodes ? spread(times.decode, decode_steps(times)) : "-",
                   decodes ? number("%.1f", times.new_tokens_per_second()) : "-",
                   std::to_string(prefill.collectives + decode.collectives),
                   readable_bytes(prefill.bytes + decode.bytes)});
    }
    table.print(out);
    for (auto const& plan : report.plans) {
        auto const& host = plan.batches[batch].host;
        if (host.seconds.empty()) continue;
        out << shortened(plan.placement) << ": the host takes "
            << number("%.1f", 1e6 * host.median()) << " us of a decode step\n";
    }
}

void print_encoding(std::ostream& out, BenchReport const& report, std::size_t index) {
    auto const& first = report.plans.front().encodings[index];
    out << "\n"
        << first.tiles << " tile(s): milliseconds, median (least to most) of " << report.repeat
        << " run(s)\n";
    double best = first.encode.median();
    for (auto const& plan : report.plans) {
        best = std::min(best, plan.encodings[index].encode.median());
    }
    Table table({"placement", "encoding", "times the best", "tiles/s", "collectives", "bytes",
                 "encoder on the largest rank"});
    for (auto const& plan : report.plans) {
        auto const& times = plan.encodings[index];
        table.add({shortened(plan.placement), spread(times.encode),
                   number("%.2f", times.encode.median() / best),
                   number("%.2f", times.tiles_per_second()),
                   std::to_string(times.traffic.collectives), readable_bytes(times.traffic.bytes),
                   readable_bytes(std::ranges::max(plan.encoder_bytes))});
    }
    table.print(out);
}

std::string timings_json(Timings const& timings) {
    return JsonObject()
        .add("median", timings.median())
        .add("min", timings.least())
        .add("max", timings.most())
        .add("runs", std::span<double const>(timings.seconds))
        .close();
}

std::string traffic_json(Traffic const& traffic) {
    return JsonObject().add("collectives", traffic.collectives).add("bytes", traffic.bytes).close();
}

std::string batch_json(BatchTimes const& times) {
    auto const sent = JsonObject()
                          .add_json("prefill", traffic_json(times.prefill_traffic))
                          .add_json("decode", traffic_json(times.decode_traffic))
                          .close();
    JsonObject json;
    json.add("batch", times.workload.batch)
        .add("prompt", times.workload.prompt)
        .add("new_tokens", times.workload.new_tokens)
        .add_json("prefill", timings_json(times.prefill))
        .add_json("decode", timings_json(times.decode))
        .add_json("total", timings_json(times.total));
    if (!times.host.seconds.empty()) json.add("host_seconds_per_step", times.host.median());
    return json.add("decode_seconds_per_step", times.seconds_per_step())
        .add("prompt_tokens_per_second", times.prompt_tokens_per_second())
        .add("new_tokens_per_second", times.new_tokens_per_second())
        .add_json("sent", sent)
        .close();
}

template <class List, class ToJson>
std::string json_list(List const& list, ToJson const& to_json) {
    std::string text;
    for (auto const& entry : list) text += (text.empty() ? "\n" : ",\n") + to_json(entry);
    return "[" + text + "]";
}

std::string encoding_json(EncodeTimes const& times) {
    return JsonObject()
        .add("tiles", times.tiles)
        .add_json("encode", timings_json(times.encode))
        .add("tiles_per_second", times.tiles_per_second())
        .add_json("sent", traffic_json(times.traffic))
        .close();
}

std::string plan_json(PlanTimes const& plan) {
    return JsonObject()
        .add("placement", plan.placement)
        .add("load_seconds", plan.load_seconds)
        .add("weight_bytes", std::span<std::size_t const>(plan.weight_bytes))
        .add("encoder_bytes", std::span<std::size_t const>(plan.encoder_bytes))
        .add_json("batches", json_list(plan.batches, batch_json))
        .add_json("encodings", json_list(plan.encodings, encoding_json))
        .close();
}

}  // namespace

double Timings::median() const {
    auto sorted = seconds;
    std::ranges::sort(sorted);
    std::size_t const middle = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2.0;
}

double Timings::least() const { return *std::ranges::min_element(seconds); }
double Timings::most() const { return *std::ranges::max_element(seconds); }

double EncodeTimes::tiles_per_second() const {
    return static_cast<double>(tiles) / encode.median();
}

double BatchTimes::prompt_tokens_per_second() const {
    return static_cast<double>(workload.batch * workload.prompt) / prefill.median();
}

double BatchTimes::seconds_per_step() const {
    return workload.new_tokens > 1 ? decode.median() / decode_steps(*this) : 0.0;
}

double BatchTimes::new_tokens_per_second() const {
    return workload.new_tokens > 1 ? static_cast<double>(workload.batch) / seconds_per_step() : 0.0;
}

void print_bench(std::ostream& out, BenchReport const& report) {
    out << report.title << " on " << report.ranks << " rank(s), " << report.ranks_on_node
        << " on a node; backend " << report.backend << ", dtype " << report.dtype << ", "
        << (report.weights == "file" ? "weights of the file" : "random weights")
        << (report.weight_format == "fp8" ? ", held in fp8" : "") << '\n';
    for (std::size_t batch = 0; batch < report.plans.front().batches.size(); ++batch) {
        print_batch(out, report, batch);
    }
    for (std::size_t index = 0; index < report.plans.front().encodings.size(); ++index) {
        print_encoding(out, report, index);
    }
}

std::string bench_json(BenchReport const& report) {
    return JsonObject()
        .add("title", report.title)
        .add("ranks", report.ranks)
        .add("ranks_on_node", report.ranks_on_node)
        .add("backend", report.backend)
        .add("dtype", report.dtype)
        .add("weights", report.weights)
        .add("weight_format", report.weight_format)
        .add("warmup", report.warmup)
        .add("repeat", report.repeat)
        .add_json("plans", json_list(report.plans, plan_json))
        .close();
}

}  // namespace tesserank::app
