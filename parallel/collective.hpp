#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tesserank::parallel {

/// What ranks do together to turn one layout into another.
enum class Collective : std::uint8_t {
    none,  ///< nothing is sent
    all_reduce,
    reduce_scatter,
    reduce,
    all_gather,
    gather,
    broadcast,
    scatter,
    transfer,  ///< from one rank to another
};

inline constexpr std::array all_collectives{
    Collective::all_reduce, Collective::reduce_scatter, Collective::reduce,  Collective::all_gather,
    Collective::gather,     Collective::broadcast,      Collective::scatter, Collective::transfer};

std::string_view name_of(Collective kind);
/// Of all_collectives; nullopt for another word.
std::optional<Collective> collective_from_name(std::string_view name);

/// A layout without the numbers that change from step to step: what a plan says.
struct LayoutKind {
    enum class Kind : std::uint8_t { replicated, partial, hidden_sharded, batch_sharded, on_rank };
    Kind kind = Kind::replicated;
    int rank = 0;  ///< of on_rank; 0 otherwise

    static LayoutKind on_rank(int rank) { return {Kind::on_rank, rank}; }
    bool operator==(LayoutKind const&) const = default;
};

/// "Replicated", "BatchSharded", "OnRank(2)", ...
std::string name_of(LayoutKind layout);
/// Of the layouts that whole rows can have; nullopt for another word.
std::optional<LayoutKind> row_layout_from_name(std::string_view name);
/// A rank's number; nullopt for another text. Not checked against a rank count.
std::optional<int> rank_from_text(std::string_view text);

/// What the Redistributor does for this pair. Errors: LogicError for a pair that it refuses.
Collective collective_of(LayoutKind from, LayoutKind to);

/// Whether that is a reduce-scatter, which cannot write over its own input.
inline bool scatters(LayoutKind from, LayoutKind to) {
    return collective_of(from, to) == Collective::reduce_scatter;
}

}  // namespace tesserank::parallel
