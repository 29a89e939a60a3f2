#include "io/requests/id_set.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tesserank::io {
namespace {

TEST(IdSet, NamesTheFirstLineOfARepeatedId) {
    IdSet ids;
    EXPECT_EQ(ids.insert("a", 3), std::nullopt);
    EXPECT_EQ(ids.insert("b", 4), std::nullopt);
    EXPECT_EQ(ids.insert("a", 5), 3U);
    EXPECT_EQ(ids.insert("a", 6), 3U);
}

TEST(IdSet, FindsEveryIdAfterGrowing) {
    IdSet ids;
    std::size_t constexpr count = 50000;
    for (std::size_t i = 1; i <= count; ++i) {
        ASSERT_EQ(ids.insert(std::to_string(i), i), std::nullopt) << i;
    }
    for (std::size_t i = 1; i <= count; ++i) ASSERT_EQ(ids.insert(std::to_string(i), 1), i);
}

}  // namespace
}  // namespace tesserank::io
