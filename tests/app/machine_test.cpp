#include "app/machine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace tesserank::app {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::size_t constexpr gibibyte = std::size_t{1} << 30;

RankPlace place(std::string const& host, std::initializer_list<std::size_t> cores) {
    RankPlace place;
    std::ranges::copy(host, place.host);
    for (auto const core : cores) place.cores.set(core);
    place.memory_bytes = 64 * gibibyte;
    place.shm_bytes = gibibyte;
    place.threads_wanted = 1;
    return place;
}

TEST(Machine, ReadsModelAndFeaturesOfTheFirstCpu) {
    std::istringstream x86(
        "processor\t: 0\nmodel name\t: Some CPU @ 2.5GHz\nflags\t\t: fpu avx2 avx512f avx512_bf16\n"
        "\nprocessor\t: 1\nmodel name\t: other\n");
    auto const cpu = read_cpu(x86);
    EXPECT_EQ(cpu.model, "Some CPU @ 2.5GHz");
    EXPECT_THAT(cpu.features, ElementsAre("avx2", "avx512f", "avx512_bf16"));
    std::istringstream arm("processor\t: 0\nFeatures\t: fp asimd sve bf16\n");
    EXPECT_THAT(read_cpu(arm).features, ElementsAre("sve", "bf16"));
    std::istringstream none;
    EXPECT_EQ(read_cpu(none).model, "unknown");
}

TEST(Machine, FindsThisPlace) {
    auto const here = find_place();
    EXPECT_GT(here.cores.count(), 0U);
    EXPECT_GT(here.memory_bytes, 0U);
    EXPECT_NE(std::string(here.host), "");
}

TEST(Machine, ListsCoresAsRuns) {
    EXPECT_EQ(list_cores(place("a", {0, 1, 2, 3, 8, 1022, 1023}).cores), "0-3,8,1022-1023");
    EXPECT_EQ(list_cores({}), "");
}

TEST(Machine, GroupsRanksByHost) {
    auto const hosts = group_by_host({place("a", {0}), place("b", {0, 1}), place("a", {1})});
    ASSERT_EQ(hosts.size(), 2U);
    EXPECT_EQ(hosts[0].ranks, 2U);
    EXPECT_EQ(hosts[0].cores.count(), 2U);
    EXPECT_EQ(hosts[1].name, "b");
}

TEST(Machine, AGoodPlaceGivesNoWarning) {
    EXPECT_THAT(find_warnings({place("a", {0}), place("a", {1})}), ElementsAre());
}

TEST(Machine, WarnsOfRanksThatShareCores) {
    EXPECT_THAT(find_warnings({place("a", {0}), place("a", {0})}),
                ElementsAre(HasSubstr("a: 2 ranks share 1 core(s)")));
}

TEST(Machine, WarnsOfThreadsBeyondTheCores) {
    auto crowded = place("a", {0, 1, 2, 3});
    crowded.threads_wanted = 3;
    EXPECT_THAT(find_warnings({crowded, crowded}),
                ElementsAre(AllOf(HasSubstr("OMP_NUM_THREADS=3 x 2 rank(s) exceeds 4 core(s)"),
                                  HasSubstr("set OMP_NUM_THREADS=2"))));
    auto unset = crowded;
    unset.threads_wanted = 0;
    EXPECT_THAT(find_warnings({unset, unset}), ElementsAre(HasSubstr("set OMP_NUM_THREADS=2")));
    EXPECT_THAT(find_warnings({unset}), ElementsAre());
}

TEST(Machine, WarnsOfLittleMemoryAndOfRoot) {
    auto poor = place("a", {0, 1});
    poor.memory_bytes = gibibyte;
    poor.shm_bytes = 1 << 20;
    poor.is_root = true;
    EXPECT_THAT(find_warnings({poor, poor}),
                ElementsAre(HasSubstr("a: 512 MiB of memory for each rank"),
                            HasSubstr("a: 1 MiB free in /dev/shm"), HasSubstr("running as root")));
}

}  // namespace
}  // namespace tesserank::app
