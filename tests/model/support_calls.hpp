#pragma once

#include "model/exchange.hpp"
#include "tests/support/pmpi_counter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace tesserank::test {

/// Adds what a rank should see of these exchanges.
inline void add_calls(std::vector<CountedCall>& calls, int rank,
                      std::span<model::Exchange const> exchanges) {
    for (auto const& exchange : exchanges) {
        bool const transfer = exchange.kind == parallel::Collective::transfer;
        bool const here = exchange.from.rank == rank || exchange.to.rank == rank;
        if (!transfer || here) calls.push_back({exchange.kind, exchange.bytes, true});
    }
}

inline void expect_equal_calls(std::span<CountedCall const> found,
                               std::span<CountedCall const> wanted) {
    EXPECT_EQ(found.size(), wanted.size());
    for (std::size_t i = 0; i < std::min(found.size(), wanted.size()); ++i) {
        EXPECT_EQ(name_of(found[i].kind), name_of(wanted[i].kind)) << "call " << i;
        if (!found[i].bytes_known) continue;
        EXPECT_EQ(found[i].bytes, wanted[i].bytes)
            << "call " << i << ", " << name_of(found[i].kind);
    }
}

}  // namespace tesserank::test
