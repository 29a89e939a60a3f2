#include "io/images/data_url.hpp"

#include "kernels/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tesserank::io {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::string decoded(std::string const& url) {
    auto const bytes = decode_data_url(url);
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

void refuses(std::string const& url, std::string const& text) {
    EXPECT_THAT([&] { decode_data_url(url); }, ThrowsMessage<kernels::InputError>(HasSubstr(text)))
        << url;
}

TEST(DataUrl, AreToldFromPaths) {
    EXPECT_TRUE(is_data_url("data:image/png;base64,"));
    EXPECT_TRUE(is_data_url("DATA:x"));
    for (auto const* const path : {"", "data", "data/a.png", "a/data:x", "https://a"}) {
        EXPECT_FALSE(is_data_url(path)) << path;
    }
}

// The examples of RFC 4648.
TEST(DataUrl, AreDecoded) {
    std::string const head = "data:image/png;base64,";
    EXPECT_EQ(decoded(head + "Zg=="), "f");
    EXPECT_EQ(decoded(head + "Zm8="), "fo");
    EXPECT_EQ(decoded(head + "Zm9v"), "foo");
    EXPECT_EQ(decoded(head + "Zm9vYmFy"), "foobar");
    EXPECT_EQ(decoded("data:image/jpeg;name=a.jpg;base64,//79"), "\xFF\xFE\xFD");
    EXPECT_EQ(decoded("Data:IMAGE/WEBP;BASE64,+w=="), "\xFB");
}

TEST(DataUrl, OtherTypesAndFormsAreRefused) {
    refuses("data:image/gif;base64,Zm9v", "type \"image/gif\", expected image/jpeg, image/png");
    refuses("data:text/plain;base64,Zm9v", "type \"text/plain\"");
    refuses("data:,x", "type \"\"");
    refuses("data:image/png,x", "not of the form data:TYPE;base64,DATA");
    refuses("data:image/png;base64", "not of the form");
}

TEST(DataUrl, DataThatIsNotBase64IsRefused) {
    std::string const head = "data:image/png;base64,";
    refuses(head, "has 0 characters, expected a multiple of 4");
    refuses(head + "Zm9", "has 3 characters");
    refuses(head + "Zm9vY===", "byte 5 of it is \"=\"");
    refuses(head + "Zg==Zm9v", "byte 2 of it is \"=\"");
    refuses(head + "====", "byte 0");
    refuses(head + "Zm9v Zm8", "byte 4 of it is \" \"");
    refuses(head + "Zm9-", "byte 3 of it is \"-\"");
    refuses(head + "Zm%3", "byte 2 of it is \"%\"");
}

}  // namespace
}  // namespace tesserank::io
