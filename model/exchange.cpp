#include "model/exchange.hpp"

#include "model/candidates.hpp"
#include "model/share_batch.hpp"

#include <algorithm>
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
        for (std::size_t first = 0; first < shape_.outputs; first += options_.max_logit_rows) {
            add_choice(head, std::min(options_.max_logit_rows, shape_.outputs - first));
        }
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
        add({name, Place::behind}, output_of(placement, kind), stream, residual);
    }

    void add_choice(Placement head, std::size_t rows) {
        auto const from = output_of(head, ModuleKind::lm_head);
        auto const to = LayoutKind::on_rank(choosing_rank);
        std::size_t bytes = rows * config_.vocabulary * sizeof(float);
        if (shape_.candidates > 0) {
            bytes = 0;
            Partition const cut(config_.vocabulary, plan_.ranks);
            bool const shard = head == Placement::shard;
            for (int rank = 0; rank < (shard ? plan_.ranks : 1); ++rank) {
                bytes += candidate_bytes(rows, shard ? cut.count(rank) : config_.vocabulary,
                                         shape_.candidates);
            }
            if (parallel::collective_of(from, to) != Collective::none) {
                list_.push_back({"lm_head", Place::behind, Collective::gather, bytes, from, to});
            }
        } else {
            add({"lm_head", Place::behind}, from, to, bytes);
        }
        list_.push_back({"lm_head",
                         Place::behind,
                         Collective::broadcast,
                         rows * sizeof(Choice),
                         to,
                         {LayoutKind::Kind::replicated}});
    }

    DecoderConfig const& config_;
    PlacementPlan const& plan_;
    TransformerOptions const& options_;
    StepShape const& shape_;
    std::vector<Exchange> list_;
};

}  // namespace

std::vector<Exchange> exchanges_of(DecoderConfig const& config, PlacementPlan const& plan,
                                   TransformerOptions const& options, StepShape const& shape) {
    if (plan.ranks == 1) return {};
    return Exchanges(config, plan, options, shape).list();
}

std::vector<Exchange> exchanges_of_start(int ranks, std::size_t sequences, std::size_t tokens) {
    if (ranks == 1) return {};
    auto const from = LayoutKind::on_rank(choosing_rank);
    LayoutKind const to{LayoutKind::Kind::replicated};
    std::size_t const content = SharedBatch::content_bytes(sequences, tokens);
    return {{"batch", Place::before, Collective::broadcast, sizeof(SharedBatch::Sizes), from, to},
            {"batch", Place::before, Collective::broadcast, content, from, to}};
}

}  // namespace tesserank::model
