#pragma once

#include "model/decoder_config.hpp"
#include "model/forward_memory.hpp"
#include "model/placement.hpp"
#include "parallel/collective.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tesserank::model {

/// One collective of a forward pass, on one side of a module, or within it: the sums of a norm over
/// a dimension that is cut. The choice of tokens is behind the lm_head.
struct Exchange {
    enum class Place : std::uint8_t { before, within, behind };

    std::string module;
    Place place = Place::before;
    parallel::Collective kind = parallel::Collective::none;
    std::size_t bytes = 0;  ///< of the whole activation (or message) that it is about
    parallel::LayoutKind from, to;
};

/// What the size of a step's exchanges depends on.
struct StepShape {
    std::size_t rows = 0;        ///< T
    std::size_t outputs = 0;     ///< rows whose logits are wanted
    std::size_t candidates = 1;  ///< of each, 0: the whole logits; see candidates_for()
    bool resident = false;       ///< the device chooses the tokens
    bool operator==(StepShape const&) const = default;
};

/// Every collective of one forward pass with the choice of its tokens, in order, as generate()
/// makes them. Empty on one rank.
std::vector<Exchange> exchanges_of(DecoderConfig const& config, PlacementPlan const& plan,
                                   TransformerOptions const& options, StepShape const& shape);

/// The part of it within a module of this name and kind, for so many rows: a norm of all heads of
/// q and k together has to know the sums of all ranks. On more than one rank.
std::vector<Exchange> exchanges_within(QkNorm norm, std::string const& name, ModuleKind kind,
                                       Placement placement, std::size_t rows);

/// The part of it behind the lm_head: logits or candidates come together, and all ranks learn what
/// was chosen. On more than one rank.
std::vector<Exchange> exchanges_of_choice(DecoderConfig const& config, Placement head, int ranks,
                                          TransformerOptions const& options,
                                          StepShape const& shape);

/// What a batch is made of: so many prompts with so many tokens in all, ids that end sequences, and
/// runs of placeholders for features.
struct BatchShape {
    std::size_t sequences = 0, tokens = 0, stop_ids = 0;
    std::size_t places = 0;
};

/// How it gets to every rank; where decoding is resident, with the terms of that. Empty on one
/// rank.
std::vector<Exchange> exchanges_of_start(int ranks, TransformerOptions const& options,
                                         BatchShape const& batch);

}  // namespace tesserank::model
