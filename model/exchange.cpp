#include "model/exchange.hpp"

#include "kernels/resident_decode.hpp"
#include "model/candidates.hpp"
#include "model/exchange_list.hpp"
#include "model/resident_terms.hpp"
#include "model/share_batch.hpp"

#include <algorithm>
#include <utility>

namespace tesserank::model {
namespace {

using kernels::DType;
using Place = Exchange::Place;
using parallel::Collective;
using parallel::LayoutKind;
using parallel::Partition;

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

std::vector<Exchange> exchanges_within(QkNorm norm, std::string const& name, ModuleKind kind,
                                       Placement placement, std::size_t rows) {
    bool const cut = kind == ModuleKind::attention && placement == Placement::shard;
    if (!cut || norm != QkNorm::whole || rows == 0) return {};
    return {{name,
             Place::within,
             Collective::all_reduce,
             2 * rows * sizeof(float),
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
    auto const activation = [&](std::size_t rows, DType dtype) {
        return rows * config.hidden * kernels::size_of(dtype);
    };
    ExchangeList list;
    auto stream = plan.stream_of(layer_module(0, "attention"));
    ExchangeList::BlockBytes const bytes{.stream = activation(shape.rows, DType::f32),
                                         .input = activation(shape.rows, options.compute)};
    list.add({"embedding", Place::behind}, output_of(plan.of("embedding"), ModuleKind::embedding),
             stream, bytes.stream);
    for (std::size_t layer = 0; layer < config.layers; ++layer) {
        for (auto const& [part, kind] :
             {std::pair("attention", ModuleKind::attention), std::pair("mlp", ModuleKind::mlp)}) {
            auto const name = layer_module(layer, part);
            list.add_block(plan, name, kind, bytes,
                           exchanges_within(config.qk_norm, name, kind, plan.of(name), shape.rows),
                           stream);
        }
    }
    auto const head = plan.of("lm_head");
    list.add({"lm_head", Place::before}, stream, input_of(head),
             activation(shape.outputs, options.compute));
    list.add(exchanges_of_choice(config, head, plan.ranks, options, shape));
    return list.take();
}

std::vector<Exchange> exchanges_of_start(int ranks, TransformerOptions const& options,
                                         BatchShape const& batch) {
    if (ranks == 1) return {};
    auto const from = LayoutKind::on_rank(choosing_rank);
    LayoutKind const to{LayoutKind::Kind::replicated};
    std::vector<std::size_t> messages{
        sizeof(SharedBatch::Sizes),
        SharedBatch::content_bytes(batch.sequences, batch.tokens, batch.places)};
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
