#include "model/exchange_list.hpp"

#include <algorithm>
#include <iterator>

namespace tesserank::model {

using parallel::Collective;
using parallel::LayoutKind;
using Place = Exchange::Place;

void ExchangeList::add(Side side, LayoutKind from, LayoutKind to, std::size_t bytes) {
    auto const kind = parallel::collective_of(from, to);
    if (kind == Collective::none || bytes == 0) return;
    list_.push_back({std::string(side.module), side.place, kind, bytes, from, to});
}

void ExchangeList::add(std::vector<Exchange> exchanges) {
    std::ranges::move(exchanges, std::back_inserter(list_));
}

void ExchangeList::add_block(PlacementPlan const& plan, std::string const& name, ModuleKind kind,
                             BlockBytes bytes, std::vector<Exchange> within, LayoutKind& stream) {
    auto const placement = plan.of(name);
    auto const wanted = plan.stream_of(name);
    add({name, Place::before}, stream, wanted, bytes.stream);
    stream = wanted;
    add({name, Place::before}, stream, input_of(placement), bytes.input);
    add(std::move(within));
    add({name, Place::behind}, output_of(placement, kind), stream, bytes.stream);
}

}  // namespace tesserank::model
