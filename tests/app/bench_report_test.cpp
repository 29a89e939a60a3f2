#include "app/bench_report.hpp"

#include "io/json_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

namespace tesserank::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

BatchTimes times(std::vector<double> prefill, std::vector<double> decode, std::size_t new_tokens) {
    BatchTimes times;
    times.workload = {.batch = 4, .prompt = 50, .new_tokens = new_tokens};
    times.prefill.seconds = std::move(prefill);
    times.decode.seconds = std::move(decode);
    for (std::size_t i = 0; i < times.prefill.seconds.size(); ++i) {
        times.total.seconds.push_back(times.prefill.seconds[i] + times.decode.seconds[i]);
    }
    times.prefill_traffic = {.collectives = 3, .bytes = 1000};
    times.decode_traffic = {.collectives = 5, .bytes = 48};
    return times;
}

BenchReport report_of(std::vector<BatchTimes> const& by_plan) {
    BenchReport report{.title = "a \"model\"",
                       .backend = "kokkos",
                       .dtype = "bf16",
                       .weights = "synthetic",
                       .ranks = 2,
                       .ranks_on_node = 1,
                       .warmup = 1,
                       .repeat = 3,
                       .plans = {}};
    for (auto const& batch : by_plan) {
        report.plans.push_back({.placement = "plan" + std::to_string(report.plans.size()),
                                .load_seconds = 0.25,
                                .weight_bytes = {10, 20},
                                .batches = {batch}});
    }
    return report;
}

std::string table_of(BenchReport const& report) {
    std::ostringstream out;
    print_bench(out, report);
    return out.str();
}

TEST(Timings, GiveTheMiddleAndBothEnds) {
    Timings const odd{{3.0, 1.0, 2.5}}, even{{4.0, 1.0, 2.0, 3.0}}, one{{7.0}};
    EXPECT_EQ(odd.median(), 2.5);
    EXPECT_EQ(odd.least(), 1.0);
    EXPECT_EQ(odd.most(), 3.0);
    EXPECT_EQ(even.median(), 2.5);
    EXPECT_EQ(one.median(), 7.0);
}

TEST(BatchTimes, GiveRatesOfTheMedians) {
    auto const batch = times({0.5, 0.1, 0.4}, {2.0, 1.0, 9.0}, 11);
    EXPECT_DOUBLE_EQ(batch.prompt_tokens_per_second(), 4 * 50 / 0.4);
    EXPECT_DOUBLE_EQ(batch.seconds_per_step(), 2.0 / 10);
    EXPECT_DOUBLE_EQ(batch.new_tokens_per_second(), 4 / 0.2);
}

TEST(BenchReport, ComparesPlansWithTheFastest) {
    auto const text =
        table_of(report_of({times({0.2, 0.2, 0.2}, {0.4, 0.4, 0.4}, 5), times({0.1}, {0.2}, 5)}));
    EXPECT_THAT(text, HasSubstr("batch 4, prompt 50, new tokens 5"));
    EXPECT_THAT(text, HasSubstr("plan0      600.0 (600.0 to 600.0)  2.00"));
    EXPECT_THAT(text, HasSubstr("plan1      300.0 (300.0 to 300.0)  1.00"));
    EXPECT_THAT(text, HasSubstr("100.0 (100.0 to 100.0)"));
    EXPECT_THAT(text, HasSubstr("8            1.02 KiB"));
}

TEST(BenchReport, HasNoDecodeWithOneNewToken) {
    auto const report = report_of({times({0.2}, {0.0}, 1)});
    EXPECT_THAT(table_of(report), HasSubstr("  -            -"));
    auto const json = bench_json(report);
    io::JsonDocument const document(json, "bench");
    auto const batch = document.root().at("plans").element(0).at("batches").element(0);
    EXPECT_EQ(batch.at("decode_seconds_per_step").number(), 0.0);
    EXPECT_THAT(json, Not(HasSubstr("null")));
}

TEST(BenchReport, SaysWhatTheHostTakesOfAStepWhereItDoesNotDecide) {
    auto batch = times({0.2}, {0.4}, 5);
    EXPECT_THAT(bench_json(report_of({batch})), Not(HasSubstr("host_seconds")));
    EXPECT_THAT(table_of(report_of({batch})), Not(HasSubstr("the host takes")));
    batch.host.seconds = {9e-6, 12.5e-6, 1.0};
    EXPECT_THAT(bench_json(report_of({batch})), HasSubstr("\"host_seconds_per_step\": 1.25e-05"));
    EXPECT_THAT(table_of(report_of({batch})),
                HasSubstr("plan0: the host takes 12.5 us of a decode step"));
}

TEST(BenchReport, SaysEverythingAsJson) {
    auto const json = bench_json(report_of({times({0.2, 0.3}, {0.4, 0.6}, 5)}));
    io::JsonDocument const document(json, "bench");
    auto const root = document.root();
    EXPECT_EQ(root.at("title").string(), "a \"model\"");
    EXPECT_EQ(root.at("ranks").integer(0, 9), 2);
    EXPECT_EQ(root.at("weights").string(), "synthetic");
    auto const plan = root.at("plans").element(0);
    EXPECT_EQ(plan.at("placement").string(), "plan0");
    EXPECT_EQ(plan.at("weight_bytes").element(1).integer(0, 99), 20);
    auto const batch = plan.at("batches").element(0);
    EXPECT_EQ(batch.at("batch").integer(0, 9), 4);
    EXPECT_DOUBLE_EQ(batch.at("prefill").at("median").number(), 0.25);
    EXPECT_DOUBLE_EQ(batch.at("decode").at("max").number(), 0.6);
    EXPECT_EQ(batch.at("total").at("runs").size(), 2U);
    EXPECT_EQ(batch.at("sent").at("decode").at("bytes").integer(0, 99), 48);
    EXPECT_EQ(batch.at("sent").at("prefill").at("collectives").integer(0, 99), 3);
}

}  // namespace
}  // namespace tesserank::app
