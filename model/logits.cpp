#include "model/logits.hpp"

#include "kernels/phase.hpp"

#include <algorithm>
#include <vector>

namespace tesserank::model {

float logit_at(kernels::Backend& backend, kernels::ConstTensorView row, std::int32_t token) {
    float logit = 0.0F;
    backend.copy_to_host(row.data + static_cast<std::size_t>(token) * sizeof(float),
                         std::as_writable_bytes(std::span(&logit, 1)));
    return logit;
}

void append_row(LogitsSink& sink, std::string const& request_id, kernels::Backend& backend,
                kernels::ConstTensorView row) {
    std::vector<float> host(row.cols);
    backend.copy_to_host(row.data, std::as_writable_bytes(std::span(host)));
    sink.append(request_id, host);
}

void for_logit_blocks(Transformer& model, parallel::AnyActivation const& states, std::size_t rows,
                      std::function<void(LogitBlock const&)> const& take) {
    std::size_t const most = model.options().max_logit_rows;
    for (std::size_t first = 0; first < rows; first += most) {
        std::size_t const count = std::min(most, rows - first);
        take({model.local_logits(states, first, count), first, count});
    }
}

void prefill(
    Transformer& model, StaticBatch& batch,
    std::function<void(LogitBlock const&, std::span<StaticBatch::Output const>)> const& take) {
    kernels::Phase const phase("prefill");
    for (auto next = batch.next_prefill(model.options().max_rows); !next.step.ids.empty();
         next = batch.next_prefill(model.options().max_rows)) {
        auto const states = model.forward(next.step, next.output_rows);
        for_logit_blocks(model, states, next.outputs.size(), [&](LogitBlock const& block) {
            take(block, std::span(next.outputs).subspan(block.first, block.count));
        });
    }
}

}  // namespace tesserank::model
