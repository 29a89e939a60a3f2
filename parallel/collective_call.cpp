#include "parallel/collective_call.hpp"

#include <array>

namespace tesserank::parallel {
namespace {

using Kind = CollectiveCall::Kind;

std::string_view name_of(Kind kind) {
    static constexpr std::array<std::string_view, 12> names{"all-reduce",
                                                            "reduce-scatter",
                                                            "all-gather",
                                                            "reduce",
                                                            "gather",
                                                            "scatter",
                                                            "transfer",
                                                            "broadcast",
                                                            "all-to-all",
                                                            "barrier",
                                                            "minimum of a number",
                                                            "sum of a number"};
    return names.at(static_cast<std::size_t>(kind));
}

bool sums_tensors(Kind kind) {
    return kind == Kind::all_reduce || kind == Kind::reduce_scatter || kind == Kind::reduce;
}

bool moves_bytes(Kind kind) { return kind < Kind::barrier; }

}  // namespace

bool CollectiveCall::fits(CollectiveCall const& other) const {
    bool const same_bytes = !bytes_alike || !other.bytes_alike || bytes == other.bytes;
    return kind == other.kind && same_bytes && dtype == other.dtype && from == other.from &&
           to == other.to && cut == other.cut;
}

std::uint64_t hash_of_pieces(std::span<std::size_t const> sizes) {
    // FNV-1a, a number at a time.
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (auto const size : sizes) hash = (hash ^ size) * 0x100000001b3U;
    return hash;
}

std::string describe(CollectiveCall const& call) {
    std::string text(name_of(call.kind));
    if (moves_bytes(call.kind)) text += " of " + std::to_string(call.bytes) + " bytes";
    if (sums_tensors(call.kind)) text += " " + std::string(kernels::name_of(call.dtype));
    if (call.from != CollectiveCall::nobody) text += " from rank " + std::to_string(call.from);
    if (call.to != CollectiveCall::nobody) text += " to rank " + std::to_string(call.to);
    return text;
}

std::string describe(CollectiveRecord const& record) {
    std::string place = "call " + std::to_string(record.number);
    char const* separator = ": ";
    for (auto const part : {record.phase.view(), record.module.view(), record.layouts.view()}) {
        if (part.empty()) continue;
        place += separator + std::string(part);
        separator = ", ";
    }
    return describe(record.call) + " (" + place + ")";
}

}  // namespace tesserank::parallel
