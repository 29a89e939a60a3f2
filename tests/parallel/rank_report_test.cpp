#include "parallel/rank_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tesserank::parallel {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Kind = CollectiveCall::Kind;

/// Ranks on hosts "n0", "n1", ..., each with its calls.
class StallTest : public ::testing::Test {
  protected:
    StallTest() {
        for (int rank = 0; rank < 3; ++rank) {
            stall_.hosts.emplace_back().set("n" + std::to_string(rank));
        }
    }

    /// A rank that has made these calls, and is still in the last one.
    void add_waiting(std::initializer_list<CollectiveCall> calls) {
        CollectiveRing ring;
        for (auto const& call : calls) {
            if (&call != calls.begin()) ring.end();
            ring.begin(call);
        }
        add(ring, "decode");
    }
    void add(CollectiveRing const& ring, std::string_view phase) {
        RankReport report;
        report.phase.set(phase);
        report.seconds_still = 7.0;
        report.calls = ring.snapshot();
        stall_.reports.emplace_back(report);
    }
    std::string headline() const {
        auto const text = describe(stall_);
        return text.substr(0, text.find('\n'));
    }

    CollectiveCall const sum_{.kind = Kind::all_reduce, .bytes = 64};
    CollectiveCall const told_{.kind = Kind::broadcast, .bytes = 8, .from = 0};
    Stall stall_{.limit_seconds = 5.0, .hosts = {}, .reports = {}};
};

TEST_F(StallTest, NamesTheRankThatDoesNotAnswer) {
    add_waiting({sum_});
    stall_.reports.emplace_back();
    add_waiting({sum_});
    EXPECT_THAT(headline(), AllOf(HasSubstr("no progress"), HasSubstr("5.0 s"),
                                  HasSubstr("rank 1 (n1) does not answer"),
                                  Not(HasSubstr("rank 0")), Not(HasSubstr("differs"))));
    EXPECT_THAT(describe(stall_), HasSubstr("rank 2 (n2) waits since 7.0 s in all-reduce of 64"));
    EXPECT_THAT(rings_text(stall_), HasSubstr("rank 1 (n1) does not answer"));
}

TEST_F(StallTest, NamesTheRankThatIsBusyElsewhere) {
    add_waiting({told_, sum_});
    CollectiveRing busy;
    busy.begin(told_);
    busy.end();
    add(busy, "reading requests");
    add_waiting({told_, sum_});
    EXPECT_THAT(headline(),
                AllOf(HasSubstr("rank 1 (n1) is late"), HasSubstr("in phase reading requests"),
                      HasSubstr("its last collective: broadcast"), Not(HasSubstr("differs"))));
}

TEST_F(StallTest, ShowsWhereTheOrderDiffers) {
    add_waiting({told_, sum_});
    add_waiting({told_, sum_});
    add_waiting({told_, told_});
    EXPECT_THAT(headline(),
                AllOf(HasSubstr("the order of calls differs: rank 0 (n0) all-reduce of 64 bytes"),
                      HasSubstr("(call 2"), HasSubstr("rank 2 (n2) broadcast of 8 bytes")));
}

TEST_F(StallTest, BlamesTheNetworkWhenAllWaitForTheSame) {
    for (int rank = 0; rank < 3; ++rank) add_waiting({told_, sum_});
    EXPECT_THAT(headline(), HasSubstr("the network stands still"));
}

TEST_F(StallTest, ShowsSomeOfManyRanksAndWritesAll) {
    stall_.hosts.resize(100, stall_.hosts[0]);
    for (int rank = 0; rank < 100; ++rank) add_waiting({sum_});
    EXPECT_THAT(describe(stall_), AllOf(HasSubstr("and 84 more ranks"), Not(HasSubstr("rank 99"))));
    EXPECT_THAT(rings_text(stall_), HasSubstr("rank 99"));
}

TEST_F(StallTest, WritesEveryCallThatIsRemembered) {
    for (int rank = 0; rank < 3; ++rank) add_waiting({told_, sum_});
    EXPECT_THAT(rings_text(stall_), AllOf(HasSubstr("broadcast of 8 bytes from rank 0 (call 1)"),
                                          HasSubstr("all-reduce of 64 bytes f32 (call 2)")));
}

}  // namespace
}  // namespace tesserank::parallel
