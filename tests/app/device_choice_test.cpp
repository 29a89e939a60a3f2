#include "app/device_choice.hpp"

#include "kernels/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace tesserank::app {
namespace {

using kernels::CudaDevice;
using kernels::CudaDevices;
using kernels::SystemError;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

CudaDevice device(int index, int id, int major = 9) {
    CudaDevice device;
    device.index = index;
    device.name = "NVIDIA H100";
    device.uuid[0] = static_cast<std::byte>(id);
    device.pci_bus_id = "0000:" + std::to_string(10 + id) + ":00.0";
    device.major = major;
    device.memory_bytes = 80'000'000'000;
    return device;
}

/// All devices of a node, as each rank sees them that was not given some of its own.
CudaDevices devices(int node, int count) {
    CudaDevices visible;
    for (int i = 0; i < count; ++i) visible.list.push_back(device(i, 16 * node + i));
    if (count == 0) visible.why_none = "no NVIDIA driver on this machine";
    return visible;
}

/// Ranks on nodes with so many devices each, which all ranks there see.
std::vector<RankGpu> job(std::vector<int> const& ranks_per_node, int devices_per_node) {
    std::vector<int> nodes;
    for (int const ranks : ranks_per_node) {
        int const first = static_cast<int>(nodes.size());
        nodes.insert(nodes.end(), static_cast<std::size_t>(ranks), first);
    }
    std::vector<RankGpu> gpus(nodes.size());
    for (std::size_t rank = 0; rank < gpus.size(); ++rank) {
        gpus[rank].has_nccl = true;
        pick_device(devices(nodes[rank], devices_per_node),
                    rank_on_node(nodes, static_cast<int>(rank)), gpus[rank]);
    }
    return gpus;
}

std::string error_of(std::string_view comm, std::vector<RankGpu> const& gpus) {
    try {
        choose_comm(comm, "cuda", gpus);
    } catch (SystemError const& error) {
        return error.what();
    }
    return {};
}

TEST(DeviceChoice, CountsRanksBeforeOnTheSameNode) {
    std::vector<int> const nodes{0, 1, 0, 0, 1};
    EXPECT_EQ(rank_on_node(nodes, 0), 0);
    EXPECT_EQ(rank_on_node(nodes, 1), 0);
    EXPECT_EQ(rank_on_node(nodes, 3), 2);
    EXPECT_EQ(rank_on_node(nodes, 4), 1);
}

TEST(DeviceChoice, EveryRankGetsItsOwnDeviceWhereThereAreEnough) {
    for (int ranks = 1; ranks <= 8; ++ranks) {
        auto const gpus = job({ranks}, 8);
        std::set<int> taken;
        for (auto const& gpu : gpus) taken.insert(gpu.device);
        EXPECT_EQ(taken.size(), gpus.size());
        EXPECT_EQ(choose_comm("auto", "cuda", gpus).name, ranks == 1 ? "mpi" : "nccl") << ranks;
        EXPECT_EQ(choose_comm("nccl", "cuda", gpus).name, "nccl") << "also of one rank";
    }
}

TEST(DeviceChoice, RanksShareWhereThereAreMoreOfThem) {
    for (int ranks = 4; ranks <= 8; ++ranks) {
        auto const gpus = job({ranks}, 3);
        std::size_t shared = 0;
        for (int rank = 0; rank < ranks; ++rank) {
            auto const with = ranks_on_device(gpus, rank);
            EXPECT_EQ(with.front(), rank % 3);
            shared += with.size() > 1 ? 1U : 0U;
        }
        EXPECT_GT(shared, 1U);
        auto const choice = choose_comm("auto", "cuda", gpus);
        EXPECT_EQ(choice.name, "mpi");
        EXPECT_THAT(choice.note, HasSubstr("share one GPU"));
        EXPECT_EQ(choose_comm("mpi", "cuda", gpus).name, "mpi");
    }
}

TEST(DeviceChoice, SharingUnderNcclNamesRanksDeviceAndWhatToDo) {
    EXPECT_THAT(
        error_of("nccl", job({7}, 3)),
        AllOf(HasSubstr("ranks 0, 3 and 6 share one GPU"), HasSubstr("NVIDIA H100"),
              HasSubstr("GPU-00000000-0000-0000-0000-000000000000"), HasSubstr("0000:10:00.0"),
              HasSubstr("--gpus-per-task=1"), HasSubstr("--comm mpi")));
    EXPECT_THAT(error_of("nccl", job({2}, 1)), HasSubstr("ranks 0 and 1 share"));
}

TEST(DeviceChoice, NodesDoNotShareDevices) {
    auto const gpus = job({3, 2, 4}, 4);
    EXPECT_EQ(choose_comm("nccl", "cuda", gpus).name, "nccl");
    EXPECT_EQ(gpus[3].device, 0);
    EXPECT_EQ(gpus[8].device, 3);
    EXPECT_THAT(ranks_on_device(gpus, 5), ElementsAre(5));
    EXPECT_THAT(error_of("nccl", job({3, 5}, 4)), HasSubstr("ranks 3 and 7 share"));
}

TEST(DeviceChoice, RanksWithOneDeviceEachTakeIt) {
    std::vector<RankGpu> gpus(4);
    for (int rank = 0; rank < 4; ++rank) {
        auto& gpu = gpus[static_cast<std::size_t>(rank)];
        gpu.has_nccl = true;
        pick_device({.list = {device(0, rank)}, .why_none = {}}, rank, gpu);
        EXPECT_EQ(gpu.device, 0);
    }
    EXPECT_EQ(choose_comm("auto", "cuda", gpus).name, "nccl");
}

TEST(DeviceChoice, OldDevicesAreLeftOut) {
    RankGpu gpu;
    pick_device({.list = {device(0, 0, 7), device(1, 1, 8)}, .why_none = {}}, 2, gpu);
    EXPECT_EQ(gpu.device, 1);
    RankGpu old;
    pick_device({.list = {device(0, 0, 7)}, .why_none = {}}, 0, old);
    EXPECT_EQ(old.device, -1);
    EXPECT_TRUE(old.is_there);
    EXPECT_THAT(old.why_not.data(), HasSubstr("compute capability 7.0"));
}

TEST(DeviceChoice, LongTextsAreCut) {
    RankGpu gpu;
    pick_device({.list = {}, .why_none = std::string(1000, 'x')}, 0, gpu);
    EXPECT_EQ(std::string(gpu.why_not.data()), std::string(gpu.why_not.size() - 1, 'x'));
}

TEST(DeviceChoice, AutoTakesGpusWhenAllRanksHaveOne) {
    auto gpus = job({4}, 4);
    EXPECT_EQ(choose_backend("auto", gpus).name, "cuda");
    EXPECT_EQ(choose_backend("auto", gpus).note, "");
    EXPECT_EQ(choose_backend("kokkos", gpus).name, "kokkos");
    EXPECT_EQ(choose_backend("reference", gpus).name, "reference");
    gpus[2].device = -1;
    std::ranges::copy(std::string_view("no cuBLASLt"), gpus[2].why_not.begin());
    auto const fallback = choose_backend("auto", gpus);
    EXPECT_EQ(fallback.name, "kokkos");
    EXPECT_EQ(fallback.note, "GPUs are not used: rank 2: no cuBLASLt");
}

TEST(DeviceChoice, WithoutAnyGpuAutoSaysNothing) {
    auto const gpus = job({3}, 0);
    EXPECT_EQ(choose_backend("auto", gpus).name, "kokkos");
    EXPECT_EQ(choose_backend("auto", gpus).note, "");
    EXPECT_EQ(why_not_cuda(gpus), "no NVIDIA driver on this machine");
    try {
        choose_backend("cuda", gpus);
        FAIL() << "no error";
    } catch (SystemError const& error) {
        EXPECT_STREQ(error.what(), "--backend cuda, but no GPU: no NVIDIA driver on this machine");
    }
}

TEST(DeviceChoice, NcclIsForTheCudaBackendAlone) {
    auto const gpus = job({2}, 0);
    EXPECT_EQ(choose_comm("auto", "kokkos", gpus).name, "mpi");
    EXPECT_EQ(choose_comm("mpi", "kokkos", gpus).name, "mpi");
    EXPECT_THROW(choose_comm("nccl", "kokkos", gpus), SystemError);
}

TEST(DeviceChoice, WithoutTheLibraryTensorsGoOverMpi) {
    auto gpus = job({2}, 2);
    gpus[1].has_nccl = false;
    std::ranges::copy(std::string_view("libnccl.so.2 is not there"), gpus[1].why_no_nccl.begin());
    auto const choice = choose_comm("auto", "cuda", gpus);
    EXPECT_EQ(choice.name, "mpi");
    EXPECT_THAT(choice.note, HasSubstr("rank 1 has no NCCL: libnccl.so.2 is not there"));
    EXPECT_THAT(error_of("nccl", gpus), HasSubstr("rank 1 has no NCCL"));
    gpus.resize(1);
    gpus[0].has_nccl = false;
    EXPECT_EQ(choose_comm("auto", "cuda", gpus).note, "") << "one rank sends nothing";
}

TEST(DeviceChoice, WritesUuidsAsNvidiaDoes) {
    std::array<std::byte, 16> uuid{};
    for (std::size_t i = 0; i < uuid.size(); ++i) uuid[i] = static_cast<std::byte>(17 * i);
    EXPECT_EQ(uuid_text(uuid), "GPU-00112233-4455-6677-8899-aabbccddeeff");
}

TEST(DeviceChoice, WarnsOfRanksFarFromTheirDevice) {
    std::vector<RankGpu> gpus(4);
    std::vector<RankPlace> places(4);
    for (std::size_t rank = 0; rank < 4; ++rank) places[rank].cores.set(rank);
    gpus[0].near_cores.set(0).set(1);
    gpus[1].near_cores.set(0).set(1);
    gpus[2].near_cores.set(0).set(1);
    EXPECT_THAT(find_far_ranks(gpus, places),
                ElementsAre(AllOf(HasSubstr("rank 2 runs on cores 2,"), HasSubstr("next to 0-1"))));
    places[2].cores.set(1);
    EXPECT_THAT(find_far_ranks(gpus, places), IsEmpty()) << "a part of its cores is near";
}

}  // namespace
}  // namespace tesserank::app
