#include "app/load_line.hpp"

#include <gtest/gtest.h>

namespace tesserank::app {
namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

io::LoadReport report(std::size_t read, std::size_t sent) {
    return {.bytes_read = read * mebibyte,
            .bytes_sent = sent * mebibyte,
            .open_seconds = 0.01,
            .read_seconds = 0.25 * static_cast<double>(read),
            .exchange_seconds = 0.5,
            .place_seconds = 0.04};
}

TEST(LoadLine, SaysLeastAndMostOfTheRanks) {
    EXPECT_EQ(load_line({.by_rank = {report(2, 1), report(4, 1)}, .weight_bytes = 6 * mebibyte}),
              "6.0 MiB read (2.0 to 4.0 MiB by each rank), 2.0 MiB sent (1.0 MiB by each rank); "
              "open 0.01 s, read 1.00 s, exchange 0.50 s, place 0.04 s");
}

TEST(LoadLine, SaysWhatIsReadSeveralTimes) {
    EXPECT_EQ(load_line({.by_rank = {report(6, 0), report(6, 0)}, .weight_bytes = 6 * mebibyte}),
              "12.0 MiB read (6.0 MiB by each rank), 2.0 times the weights, 0.0 MiB sent (0.0 MiB "
              "by each rank); open 0.01 s, read 1.50 s, exchange 0.50 s, place 0.04 s");
}

TEST(LoadLine, OneRankHasNoRanksToCompare) {
    EXPECT_EQ(
        load_line({.by_rank = {report(1, 0)}, .weight_bytes = mebibyte}),
        "1.0 MiB read, 0.0 MiB sent; open 0.01 s, read 0.25 s, exchange 0.50 s, place 0.04 s");
}

TEST(LoadLine, ProgramsGetEveryRank) {
    EXPECT_EQ(load_json({.by_rank = {report(1, 2), report(2, 0)}, .weight_bytes = 1}),
              R"({"bytes_read": [1048576, 2097152], "bytes_sent": [2097152, 0], )"
              R"("most_held_bytes": [0, 0], "open_seconds": [0.01, 0.01], )"
              R"("read_seconds": [0.25, 0.5], "exchange_seconds": [0.5, 0.5], )"
              R"("place_seconds": [0.04, 0.04]})");
}

}  // namespace
}  // namespace tesserank::app
