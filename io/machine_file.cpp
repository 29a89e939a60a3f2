#include "io/machine_file.hpp"

#include "io/json_reader.hpp"
#include "io/requests/json_text.hpp"

#include <optional>
#include <utility>

namespace tesserank::io {
namespace {

using kernels::DType;
using model::AttentionWork;
using model::Busy;
using model::CollectiveWork;
using model::GemmWork;
using model::MachinePoints;
using model::Measured;
using model::PassWork;
using model::Task;
using Phase = model::Step::Phase;

constexpr std::string_view format_name = "tesserank-machine";
constexpr std::int64_t format_version = 1;
constexpr std::int64_t most_ranks = 1 << 20;
constexpr std::int64_t most_count = std::int64_t{1} << 50;
constexpr double most_seconds = 1e6;

std::string_view name_of(Busy busy) { return busy == Busy::all ? "all" : "one"; }
std::string_view name_of(Phase phase) { return phase == Phase::prefill ? "prefill" : "decode"; }

void write(JsonObject& row, GemmWork const& work) {
    row.add("weight", kernels::name_of(work.weight))
        .add("input", kernels::name_of(work.input))
        .add("rows", work.rows)
        .add("outputs", work.outputs)
        .add("inputs", work.inputs);
}
void write(JsonObject& row, AttentionWork const& work) {
    row.add("phase", name_of(work.phase))
        .add("cache", kernels::name_of(work.cache))
        .add("rows", work.rows)
        .add("context", work.context)
        .add("query_heads", work.query_heads)
        .add("kv_heads", work.kv_heads)
        .add("head_dim", work.head_dim);
}
void write(JsonObject& row, PassWork const& work) { row.add("bytes", work.bytes); }
void write(JsonObject& row, CollectiveWork const& work) {
    row.add("kind", parallel::name_of(work.kind)).add("bytes", work.bytes);
}

template <class Work>
std::string list_of(std::vector<Measured<Work>> const& points) {
    std::string rows;
    for (auto const& [task, seconds] : points) {
        JsonObject row;
        write(row, task.work);
        row.add("busy", name_of(task.busy)).add("seconds", seconds);
        rows += (rows.empty() ? "\n" : ",\n") + row.close();
    }
    return "[" + rows + "]";
}

/// One of two words, or the InputError that names both.
template <class T>
T one_of(JsonNode const& node, T first, T second) {
    for (T const value : {first, second}) {
        if (node.string() == name_of(value)) return value;
    }
    node.fail_expected(std::string(name_of(first)) + " or " + std::string(name_of(second)));
}

DType dtype_in(JsonNode const& node) {
    auto const dtype = kernels::dtype_from_name(node.string());
    if (!dtype) node.fail_expected("f32, bf16 or f16");
    return *dtype;
}

/// What GEMMs read besides weights, and the KV cache.
DType activation_in(JsonNode const& node) {
    auto const dtype = dtype_in(node);
    if (dtype == DType::f16) node.fail_expected("f32 or bf16");
    return dtype;
}

std::size_t count_in(JsonNode const& row, std::string_view key) {
    return static_cast<std::size_t>(row.at(key).integer(1, most_count));
}

void read(JsonNode const& row, GemmWork& work) {
    row.allow_only({"weight", "input", "rows", "outputs", "inputs", "busy", "seconds"});
    work = {dtype_in(row.at("weight")), activation_in(row.at("input")), count_in(row, "rows"),
            count_in(row, "outputs"), count_in(row, "inputs")};
}
void read(JsonNode const& row, AttentionWork& work) {
    row.allow_only({"phase", "cache", "rows", "context", "query_heads", "kv_heads", "head_dim",
                    "busy", "seconds"});
    work = {one_of(row.at("phase"), Phase::prefill, Phase::decode),
            activation_in(row.at("cache")),
            count_in(row, "rows"),
            count_in(row, "context"),
            count_in(row, "query_heads"),
            count_in(row, "kv_heads"),
            count_in(row, "head_dim")};
}
void read(JsonNode const& row, PassWork& work) {
    row.allow_only({"bytes", "busy", "seconds"});
    work.bytes = count_in(row, "bytes");
}
void read(JsonNode const& row, CollectiveWork& work) {
    row.allow_only({"kind", "bytes", "busy", "seconds"});
    auto const kind = parallel::collective_from_name(row.at("kind").string());
    if (!kind) row.at("kind").fail_expected("a collective, such as all-reduce");
    work = {*kind, count_in(row, "bytes")};
}

double seconds_in(JsonNode const& node) {
    double const seconds = node.number();
    if (!(seconds > 0 && seconds <= most_seconds)) node.fail_expected("seconds, more than 0");
    return seconds;
}

template <class Work>
void read_list(JsonNode const& list, std::vector<Measured<Work>>& points) {
    for (std::size_t i = 0; i < list.size(); ++i) {
        auto const row = list.element(i);
        Task<Work> task;
        read(row, task.work);
        task.busy = one_of(row.at("busy"), Busy::all, Busy::one);
        points.push_back({task, seconds_in(row.at("seconds"))});
    }
}

std::string measure_again(int ranks) {
    return "measure the machine again: mpirun -n " + std::to_string(ranks) + " tesserank calibrate";
}

void check_head(JsonNode const& root, MachineUse const& use) {
    root.allow_only({"format", "format_version", "ranks", "nodes", "hosts", "backend", "time",
                     "gemm", "attention", "pass", "collective"});
    auto const format = root.at("format");
    if (format.string() != format_name) {
        format.fail_expected("\"" + std::string(format_name) + "\"");
    }
    root.at("format_version").integer(format_version, format_version);
    auto const ranks = root.at("ranks");
    if (ranks.integer(1, most_ranks) != use.ranks) {
        ranks.fail_expected(std::to_string(use.ranks) + ", the number of ranks of this job; " +
                            measure_again(use.ranks));
    }
    auto const backend = root.at("backend");
    if (!use.backend.empty() && backend.string() != use.backend) {
        backend.fail_expected("\"" + std::string(use.backend) + "\", the backend of this job; " +
                              measure_again(use.ranks) + " --backend " + std::string(use.backend));
    }
}

MachineOrigin read_origin(JsonNode const& root) {
    MachineOrigin origin{
        .hosts = {}, .backend = root.at("backend").string(), .time = root.at("time").string()};
    for (auto const& host : root.at("hosts").elements()) origin.hosts.push_back(host.string());
    auto const nodes = root.at("nodes");
    if (std::cmp_not_equal(nodes.integer(1, most_ranks), origin.hosts.size())) {
        nodes.fail_expected("as many as there are hosts");
    }
    return origin;
}

}  // namespace

std::string machine_text(MachineFile const& file) {
    auto const& points = file.machine.points();
    std::string hosts;
    for (auto const& host : file.origin.hosts) {
        if (!hosts.empty()) hosts += ", ";
        append_json(hosts, host);
    }
    return JsonObject()
               .add("format", format_name)
               .add("format_version", format_version)
               .add("ranks", points.ranks)
               .add("nodes", file.origin.hosts.size())
               .add_json("hosts", "[" + hosts + "]")
               .add("backend", file.origin.backend)
               .add("time", file.origin.time)
               .add_json("gemm", list_of(points.gemms))
               .add_json("attention", list_of(points.attentions))
               .add_json("pass", list_of(points.passes))
               .add_json("collective", list_of(points.collectives))
               .close() +
           "\n";
}

MachineFile parse_machine(std::string_view text, std::string_view origin, MachineUse const& use) {
    JsonDocument const document(text, origin);
    auto const root = document.root();
    check_head(root, use);
    MachinePoints points;
    points.ranks = use.ranks;
    read_list(root.at("gemm"), points.gemms);
    read_list(root.at("attention"), points.attentions);
    read_list(root.at("pass"), points.passes);
    read_list(root.at("collective"), points.collectives);
    auto const missing = missing_of(points);
    if (!missing.empty()) {
        root.fail("no measurements of " + missing.front() + "; " + measure_again(use.ranks));
    }
    return {model::Machine(std::move(points)), read_origin(root)};
}

}  // namespace tesserank::io
