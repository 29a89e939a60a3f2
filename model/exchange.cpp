#include "model/exchange.hpp"

#include "kernels/resident_decode.hpp"
#include "model/candidates.hpp"
#include "model/resident_terms.hpp"
#include "model/share_batch.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

namespace tesserank::model {
namespace {

using kernels::DType;
using Place = Exchange::Place;
using parallel::Collective;
using parallel::LayoutKind;
using parallel::Partition;

class Exchanges {
  public:
    Exchanges(DecoderConfig const& config, PlacementPlan const& plan,
              TransformerOptions const& options, StepShape const& shape)
        : config_{config}, plan_{plan}, options_{options}, shape_{shape} {}

    std::vector<Exchange> list() {
        auto stream = plan_.stream_of(layer_module(0, "attention"));
        add({"embedding", Place::behind}, output_of(plan_.of("embedding"), ModuleKind::embedding),
            stream, activation(shape_.rows, DType::f32));
        for (std::size_t layer = 0; layer < config_.layers; ++layer) {
            add_block(layer_module(layer, "attention"), ModuleKind::attention, stream);
            add_block(layer_module(layer, "mlp"), ModuleKind::mlp, stream);
        }
        auto const head = plan_.of("lm_head");
        add({"lm_head", Place::before}, stream, input_of(head),
            activation(shape_.outputs, options_.compute));
        std::ranges::move(exchanges_of_choice(config_, head, plan_.ranks, options_, shape_),
                          std::back_inserter(list_));
        return std::move(list_);
    }

  private:
    std::size_t activation(std::size_t rows, DType dtype) const {
        return rows * config_.hidden * kernels::size_of(dtype);
    }

    struct Side {
        std::string_view module;
        Place place;
    };

    void add(Side side, LayoutKind from, LayoutKind to, std::size_t bytes) {
        auto const kind = parallel::collective_of(from, to);
        if (kind == Collective::none || bytes == 0) return;
        list_.push_back({std::string(side.module), side.place, kind, bytes, from, to});
    }

    void add_block(std::string const& name, ModuleKind kind, LayoutKind& stream) {
        auto const placement = plan_.of(name);
        auto const wanted = plan_.stream_of(name);
        std::size_t const residual = activation(shape_.rows, DType::f32);
        add({name, Place::before}, stream, wanted, residual);
        stream = wanted;
        add({name, Place::before}, stream, input_of(placement),
            activation(shape_.rows, options_.compute));
        std::ranges::move(exchanges_within(config_, name, kind, placement, shape_),
                          std::back_inserter(list_));
        add({name, Place::behind}, output_of(placement, kind), stream, residual);
    }

    DecoderConfig const& config_;
    PlacementPlan const& plan_;
    TransformerOptions const& options_;
    StepShape const& shape_;
    std::vector<Exchange> list_;
};

/// Of so many rows of candidates, from all ranks.
std::size_t gathered_bytes(DecoderConfig const& config, Placement head, int ranks, std::size_t rows,
                           StepShape const& shape) {
    bool const shard = head == Placement::shard;
    Partition const cut(config.vocabulary, shard ? ranks : 1);
    std::size_t bytes = 0;
    for (int rank = 0; rank < cut.ranks(); ++rank) {
        bytes += shape.resident ? resident_candidate_bytes(rows, shape.candidates)
                                : candidate_bytes(rows, cut.count(rank), shape.candidates);
    }
    return bytes;
}

}  // namespace

std::vector<Exchange> exchanges_within(DecoderConfig const& config, std::string const& name,
                                       ModuleKind kind, Placement placement,
                                       StepShape const& shape) {
    bool const cut = kind == ModuleKind::attention && placement == Placement::shard;
    if (!cut || config.qk_norm != QkNorm::whole || shape.rows == 0) return {};
    return {{name,
             Place::within,
             Collective::all_reduce,
             2 * shape.rows * sizeof(float),
             {LayoutKind::Kind::partial},
             {LayoutKind::Kind::replicated}}};
}

std::vector<Exchange> exchanges_of_choice(DecoderConfig const& config, Placement head, int ranks,
                                          TransformerOptions const& options,
                                          StepShape const& shape) {
    auto const from = output_of(head, ModuleKind::lm_head);
    auto const to = LayoutKind::on_rank(choosing_rank);
    LayoutKind const everywhere{LayoutKind::Kind::replicated};
    auto const kind = parallel::collective_of(from, to);
    std::vector<Exchange> list;
    for (std::size_t first = 0; first < shape.outputs; first += options.max_logit_rows) {
        std::size_t const rows = std::min(options.max_logit_rows, shape.outputs - first);
        if (kind != Collective::none && shape.candidates > 0) {
            std::size_t const bytes = gathered_bytes(config, head, ranks, rows, shape);
            list.push_back({"lm_head", Place::behind, Collective::gather, bytes, from, to});
        } else if (kind != Collective::none) {
            std::size_t const bytes = rows * config.vocabulary * sizeof(float);
            list.push_back({"lm_head", Place::behind, kind, bytes, from, to});
        }
        std::size_t const chosen =
            rows * (shape.resident ? sizeof(kernels::DecodeOutput) : sizeof(Choice));
        list.push_back({"lm_head", Place::behind, Collective::broadcast, chosen, to, everywhere});
    }
    return list;
}

std::vector<Exchange> exchanges_of(DecoderConfig const& config, PlacementPlan const& plan,
                                   TransformerOptions const& options, StepShape const& shape) {
    if (plan.ranks == 1) return {};
    return Exchanges(config, plan, options, shape).list();
}

std::vector<Exchange> exchanges_of_start(int ranks, TransformerOptions const& options,
                                         BatchShape const& batch) {
    if (ranks == 1) return {};
    auto const from = LayoutKind::on_rank(choosing_rank);
    LayoutKind const to{LayoutKind::Kind::replicated};
    std::vector<std::size_t> messages{sizeof(SharedBatch::Sizes),
                                      SharedBatch::content_bytes(batch.sequences, batch.tokens)};
    if (options.resident) {
        messages.push_back(sizeof(SharedTerms::Numbers));
        messages.push_back(SharedTerms::content_bytes(batch.sequences, batch.stop_ids));
    }
    std::vector<Exchange> list;
    list.reserve(messages.size());
    for (auto const bytes : messages) {
        list.push_back({"batch", Place::before, Collective::broadcast, bytes, from, to});
    }
    return list;
}

}  // namespace tesserank::model
