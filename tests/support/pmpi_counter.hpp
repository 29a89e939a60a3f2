#pragma once

#include "parallel/collective.hpp"

#include <cstddef>
#include <vector>

namespace tesserank::test {

/// A call of MPI that moved data, as seen through MPI's own profiling interface: nothing of ours
/// counts here. Linked into a test, pmpi_counter.cpp stands between it and the library.
struct CountedCall {
    parallel::Collective kind = parallel::Collective::none;
    std::size_t bytes = 0;  ///< of the whole; of a gather or scatter known on its root alone
    bool bytes_known = true;
};

/// The calls of this rank since the last call of this function. Sums of single integers, by which
/// ranks agree on errors, are left out.
std::vector<CountedCall> take_counted_calls();

}  // namespace tesserank::test
