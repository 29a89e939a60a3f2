#include "io/model_file/weight_source.hpp"
#include "tests/io/weight_source_fixture.hpp"

#include <gtest/gtest.h>
#include <mpi.h>

#include <map>

namespace tesserank::io {
namespace {

/// Bytes that this rank has sent, by receiver, as MPI's profiling interface sees them.
std::map<int, std::size_t>& sent_to() {
    static std::map<int, std::size_t> bytes;
    return bytes;
}

}  // namespace
}  // namespace tesserank::io

// NOLINTBEGIN(readability-identifier-naming): names and parameters are MPI's.
extern "C" int MPI_Isend(void const* data, int n, MPI_Datatype type, int to, int tag, MPI_Comm comm,
                         MPI_Request* request) {
    tesserank::io::sent_to()[to] += static_cast<std::size_t>(n);
    return PMPI_Isend(data, n, type, to, tag, comm, request);
}
extern "C" int MPI_Bcast(void* data, int n, MPI_Datatype type, int root, MPI_Comm comm) {
    int rank = 0;
    int size = 0;
    PMPI_Comm_rank(comm, &rank);
    PMPI_Comm_size(comm, &size);
    for (int to = 0; rank == root && to < size; ++to) {
        if (to != root) tesserank::io::sent_to()[to] += static_cast<std::size_t>(n);
    }
    return PMPI_Bcast(data, n, type, root, comm);
}
// NOLINTEND(readability-identifier-naming)

namespace tesserank::io {
namespace {

using model::Region;

/// Pretends that a node has two ranks.
class NodeLoad : public WeightSourceTest {
  protected:
    std::vector<int> pairs() const {
        std::vector<int> nodes;
        for (int rank = 0; rank < world.size(); ++rank) nodes.push_back(rank / 2 * 2);
        return nodes;
    }
    std::size_t node_count() const { return static_cast<std::size_t>(world.size() + 1) / 2; }

    /// What all ranks have sent to other nodes in a load.
    std::size_t bytes_between_nodes(Hdf5WeightSource& source, std::vector<Wanted> const& wanted) {
        world.barrier();
        sent_to().clear();
        load_and_compare(source, wanted);
        std::size_t crossed = 0;
        for (auto const& [to, bytes] : sent_to()) {
            if (to / 2 != world.rank() / 2) crossed += bytes;
        }
        return static_cast<std::size_t>(world.all_sum(static_cast<long long>(crossed)));
    }

    ModelIndex index = open_model(small_model(), world);
};

/// Messages by which the ranks agree are far smaller than a tensor.
constexpr std::size_t slack = 2000;

TEST_F(NodeLoad, WhatAllRanksWantCrossesTheNetworkOnceForEachNode) {
    for (std::size_t const staging : {std::size_t{1}, LoadOptions::most_staging_bytes}) {
        Hdf5WeightSource source(index, world, *backend,
                                {.staging_bytes = staging, .nodes = pairs()});
        auto const bytes = find(index, "t1").bytes + find(index, "t3").bytes;
        auto const crossed =
            bytes_between_nodes(source, {want(index, "t1", 1, everywhere(300, 300)),
                                         want(index, "t3", 3, everywhere(200, 400))});
        EXPECT_LE(crossed, bytes * (node_count() - 1) + slack);
        EXPECT_GE(crossed, bytes * (node_count() - 1));
    }
}

TEST_F(NodeLoad, SharedPiecesCrossOnceToo) {
    // As shared kv heads: the ranks of a node want the same rows.
    parallel::Partition const cut(300, static_cast<int>(node_count()));
    auto const by_node = regions([&](int rank) { return Region{cut.of(rank / 2), {0, 300}}; });
    Hdf5WeightSource source(index, world, *backend, {.nodes = pairs()});
    auto const crossed = bytes_between_nodes(source, {want(index, "t1", 1, by_node, 7)});
    EXPECT_LE(crossed, find(index, "t1").bytes + slack);
}

TEST_F(NodeLoad, EveryRankGetsItsRegion) {
    for (std::size_t const staging :
         {std::size_t{1}, std::size_t{100'000}, LoadOptions::most_staging_bytes}) {
        Hdf5WeightSource source(index, world, *backend,
                                {.staging_bytes = staging, .nodes = pairs()});
        auto const none_on_last = regions([&](int rank) {
            return rank == world.size() - 1 ? Region{} : Region{{5, 100}, {3, 17}};
        });
        load_and_compare(
            source,
            {want(index, "t0", 0, by_rows(30, 7)), want(index, "t1", 1, by_cols(300, 300)),
             want(index, "t1", 1, everywhere(300, 300), 5), want(index, "t2", 2, everywhere(11, 1)),
             want(index, "t3", 3, none_on_last), want(index, "t3", 3, none_on_last, 2),
             want(index, "t3", 3, everywhere(200, 400))});
    }
}

}  // namespace
}  // namespace tesserank::io
