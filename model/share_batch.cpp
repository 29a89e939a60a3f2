#include "model/share_batch.hpp"

#include "parallel/agree.hpp"

#include <span>
#include <utility>

namespace tesserank::model {

std::vector<Sequence> share_sequences(parallel::MpiCommunicator& ranks,
                                      std::vector<Sequence> sequences) {
    std::vector<std::int32_t> flat;
    for (auto const& sequence : sequences) {
        std::array<std::size_t, SharedBatch::numbers> const numbers{
            sequence.prompt.size(), sequence.max_new_tokens, sequence.first_output,
            sequence.candidates,    sequence.length,         sequence.places.size()};
        for (auto const number : numbers) flat.push_back(static_cast<std::int32_t>(number));
        flat.insert(flat.end(), sequence.prompt.begin(), sequence.prompt.end());
        for (auto const& place : sequence.places) {
            flat.push_back(static_cast<std::int32_t>(place.position));
            flat.push_back(static_cast<std::int32_t>(place.count));
        }
    }
    SharedBatch::Sizes sizes{static_cast<std::int64_t>(sequences.size()),
                             static_cast<std::int64_t>(flat.size())};
    ranks.broadcast(std::as_writable_bytes(std::span(sizes)), 0);
    flat.resize(static_cast<std::size_t>(sizes[1]));
    ranks.broadcast(std::as_writable_bytes(std::span(flat)), 0);
    if (ranks.rank() == 0) return sequences;

    sequences.resize(static_cast<std::size_t>(sizes[0]));
    auto next = flat.begin();
    for (auto& sequence : sequences) {
        auto const tokens = *next++;
        sequence.max_new_tokens = static_cast<std::size_t>(*next++);
        sequence.first_output = static_cast<std::size_t>(*next++);
        sequence.candidates = static_cast<std::size_t>(*next++);
        sequence.length = static_cast<std::size_t>(*next++);
        sequence.places.resize(static_cast<std::size_t>(*next++));
        sequence.prompt.assign(next, next + tokens);
        next += tokens;
        for (auto& place : sequence.places) {
            place.position = static_cast<std::size_t>(*next++);
            place.count = static_cast<std::size_t>(*next++);
        }
    }
    return sequences;
}

StaticBatch start_batch(Transformer& model, parallel::MpiCommunicator& ranks,
                        std::vector<Sequence> sequences, std::span<Tile const> tiles) {
    StaticBatch batch(model.config(), share_sequences(ranks, std::move(sequences)), model.owners());
    if (batch.features() > 0) model.encode(ranks, tiles, batch.features());
    auto const rows = batch.cache_rows();
    parallel::agree(ranks, [&] {
        model.reserve_cache(rows.all, rows.dealt);
        if (batch.generates()) model.reserve_decode(batch.size());
    });
    return batch;
}

}  // namespace tesserank::model
