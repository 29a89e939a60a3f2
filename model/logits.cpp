#include "model/logits.hpp"

#include <algorithm>
#include <vector>

namespace tesserank::model {

void append_row(LogitsSink& sink, std::string const& request_id, kernels::Backend& backend,
                kernels::ConstTensorView row) {
    std::vector<float> host(row.cols);
    backend.copy_to_host(row.data, std::as_writable_bytes(std::span(host)));
    sink.append(request_id, host);
}

void for_logit_blocks(Transformer& model, parallel::Activation<parallel::Replicated> states,
                      std::function<void(kernels::ConstTensorView, std::size_t)> const& take) {
    std::size_t const most = model.options().max_logit_rows;
    for (std::size_t first = 0; first < states.local.rows; first += most) {
        std::size_t const count = std::min(most, states.local.rows - first);
        take(model.logits({states.local.rows_from(first, count), {}}).local, first);
    }
}

void prefill(Transformer& model, StaticBatch& batch,
             std::function<void(kernels::ConstTensorView,
                                std::span<StaticBatch::Output const>)> const& take) {
    for (auto next = batch.next_prefill(model.options().max_rows); !next.step.ids.empty();
         next = batch.next_prefill(model.options().max_rows)) {
        auto const states = model.forward(next.step, next.output_rows);
        for_logit_blocks(model, states, [&](kernels::ConstTensorView logits, std::size_t first) {
            take(logits, std::span(next.outputs).subspan(first, logits.rows));
        });
    }
}

}  // namespace tesserank::model
