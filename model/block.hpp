#pragma once

#include "kernels/trace.hpp"
#include "model/module.hpp"
#include "model/norm.hpp"
#include "model/residual_stream.hpp"
#include "model/row_layout.hpp"
#include "parallel/collective.hpp"
#include "parallel/partition.hpp"

#include <memory>
#include <string>
#include <variant>

namespace tesserank::model {

/// An attention or MLP block: the norm before it, where it runs, and where the residual stream lies
/// meanwhile.
template <class Context>
struct Block {
    std::string name;
    Norm norm;
    std::unique_ptr<Module<Context>> module;
    kernels::ConstTensorView scale;  ///< [1, H] of what it adds, by column; no data: not scaled
    parallel::LayoutKind input, output, stream;
};

/// What passes through blocks use besides the stream: memory for all rows on every rank, of the
/// longest pass.
struct BlockMemory {
    kernels::TensorView normed;  ///< [T, H] in the compute dtype
    kernels::TensorView delta;   ///< [T, H] f32
    kernels::TensorView sum;     ///< [T, H] f32, where sums are scattered
};

/// The norm of the stream as the block's module takes it: quantised where the module would begin
/// with that and the rows stay where they are.
template <class Context>
parallel::AnyActivation input_of_block(Block<Context> const& block, Context& context,
                                       ResidualStream& stream, kernels::TensorView const& normed,
                                       parallel::Layout const& input) {
    if (parallel::same_kind(stream.layout(), input)) {
        auto const here = parallel::local_of(parallel::part_of(normed, input, stream.rank()));
        if (block.module->quantises(context, here)) {
            return stream.normed_quantised(block.norm, normed);
        }
    }
    return context.redistribute(stream.normed(block.norm, normed), input, {.whole = normed});
}

/// Whether what the block gives is summed over the ranks when it is added, in one kernel with the
/// next norm.
template <class Context>
bool sums_later(Block<Context> const& block, parallel::Redistributor const& redistribute,
                parallel::AnyActivation const& output) {
    auto const* const partial = std::get_if<parallel::Activation<parallel::Partial>>(&output);
    bool const replicated = block.stream.kind == parallel::LayoutKind::Kind::replicated;
    return partial != nullptr && replicated && block.scale.data == nullptr &&
           redistribute.takes_sum_with_norm(partial->local);
}

/// stream += module(norm(stream)), on rows that are dealt out in this way. Collective, unless all
/// the layouts are alike.
/// `look` is shown what the module gives.
template <class Context, class Look>
void run_block(Block<Context> const& block, Context& context, ResidualStream& stream,
               BlockMemory const& memory, parallel::Partition const& deal, Look const& look) {
    kernels::TraceRange const range(block.name.c_str());
    auto const rows = [&](kernels::TensorView const& whole) {
        return whole.rows_from(0, deal.units());
    };
    auto const normed = rows(memory.normed), delta = rows(memory.delta);
    auto const place = layout_for(block.stream, deal), input = layout_for(block.input, deal);
    stream.move_to(place);
    auto const x = input_of_block(block, context, stream, normed, input);
    auto const y = parallel::local_of(parallel::part_of(delta, input, stream.rank()));
    bool const scatter = parallel::scatters(block.output, block.stream);
    auto const output = block.module->forward(context, x, y);
    look(block.name, output);
    if (sums_later(block, context.redistribute, output)) {
        return stream.add_sum(parallel::local_of(output), block.name.c_str());
    }
    stream.add(context.redistribute(output, place, {.whole = scatter ? rows(memory.sum) : delta}),
               block.scale);
}

}  // namespace tesserank::model
