#pragma once

#include "model/exchange.hpp"
#include "model/module_spec.hpp"
#include "model/placement.hpp"
#include "parallel/collective.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tesserank::model {

/// The exchanges of a forward pass, put together module by module.
class ExchangeList {
  public:
    struct Side {
        std::string_view module;
        Exchange::Place place;
    };
    /// Nothing is added for a pair of layouts that is free, or for no bytes.
    void add(Side side, parallel::LayoutKind from, parallel::LayoutKind to, std::size_t bytes);
    void add(std::vector<Exchange> exchanges);

    /// What all rows of a pass take.
    struct BlockBytes {
        std::size_t stream = 0, input = 0;
    };
    /// Those of run_block(), with those `within` its module. The stream, which lies in `stream`,
    /// is brought to where the plan wants it.
    void add_block(PlacementPlan const& plan, std::string const& name, ModuleKind kind,
                   BlockBytes bytes, std::vector<Exchange> within, parallel::LayoutKind& stream);

    std::vector<Exchange> take() { return std::exchange(list_, {}); }

  private:
    std::vector<Exchange> list_;
};

}  // namespace tesserank::model
