#include "io/chat/pictured_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tesserank::io {
namespace {

using ::testing::ElementsAre;

TEST(PicturedTextTest, MarksBecomePictures) {
    EXPECT_THAT(split_at_marks(PicturedText("no <img> or <imag e>")).texts,
                ElementsAre("no <img> or <imag e>"));
    EXPECT_THAT(split_at_marks(PicturedText("<image>a<image><image>\nb<image>")).texts,
                ElementsAre("", "a", "", "\nb", ""));
    PicturedText text("x<image>y");
    text.add_picture();
    text.add("z");
    EXPECT_THAT(split_at_marks(text).texts, ElementsAre("x", "y", "z"));
}

TEST(PicturedTextTest, PicturesInFrontHaveALineEach) {
    EXPECT_THAT(put_in_front(2, PicturedText("q")).texts, ElementsAre("", "\n", "\nq"));
}

TEST(PicturedTextTest, OnlyTheEndsAreTrimmed) {
    PicturedText text(" \u3000a ");
    text.add_picture();
    text.add(" b\x1F\n");
    text.trim();
    EXPECT_THAT(text.texts, ElementsAre("a ", " b"));
    PicturedText blank("\t ");
    blank.trim();
    EXPECT_THAT(blank.texts, ElementsAre(""));
}

}  // namespace
}  // namespace tesserank::io
