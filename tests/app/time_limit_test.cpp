#include "app/time_limit.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace tesserank::app {
namespace {

using std::chrono::seconds;

TEST(TimeLimit, IsReadInTheWaysOfUsersAndOfSlurm) {
    EXPECT_EQ(parse_duration("90s"), seconds(90));
    EXPECT_EQ(parse_duration("15m"), seconds(900));
    EXPECT_EQ(parse_duration("2h"), seconds(7200));
    EXPECT_EQ(parse_duration("01:02:03"), seconds(3723));
    EXPECT_EQ(parse_duration("2-01:00:00"), seconds(49 * 3600));
}

TEST(TimeLimit, RefusesWhatCouldMeanSomethingElse) {
    for (auto const* text : {"", "90", "s", "-5s", "1.5h", "10:00", "1:2:3:4", "1-2", "5 m",
                             "a:b:c", "99999999999s", "1-", ":::"}) {
        EXPECT_EQ(parse_duration(text), std::nullopt) << text;
    }
}

/// What is left of the time, when Slurm says that the job ends then.
std::optional<double> left(std::string const& job_end, std::optional<seconds> limit) {
    setenv("SLURM_JOB_END_TIME", job_end.c_str(), 1);
    auto const end = end_of_time(limit);
    unsetenv("SLURM_JOB_END_TIME");
    if (!end) return std::nullopt;
    return std::chrono::duration<double>(*end - std::chrono::steady_clock::now()).count();
}

TEST(TimeLimit, EndsWithTheJobOrBeforeIt) {
    auto const now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    auto const in_an_hour = std::to_string(now + 3600);
    EXPECT_NEAR(left(in_an_hour, std::nullopt).value(), 3600.0, 3.0);
    EXPECT_NEAR(left(in_an_hour, seconds(60)).value(), 60.0, 3.0);
    EXPECT_NEAR(left(in_an_hour, seconds(7200)).value(), 3600.0, 3.0);
}

TEST(TimeLimit, PassesOverAnEndThatIsNone) {
    auto const now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    for (auto const& text :
         {std::string(), std::string("soon"), std::string("12x"), std::string("0"),
          std::to_string(now - 60), std::string("99999999999999")}) {
        EXPECT_EQ(left(text, std::nullopt), std::nullopt) << text;
    }
    EXPECT_EQ(end_of_time(std::nullopt), std::nullopt);
}

}  // namespace
}  // namespace tesserank::app
