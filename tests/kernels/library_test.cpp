#include "kernels/library.hpp"

#include "kernels/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tesserank::kernels {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

template <class Work>
std::string error_of(Work const& work) {
    try {
        work();
    } catch (SystemError const& error) {
        return error.what();
    }
    return "no error";
}

TEST(Library, TakesTheFirstThatIsThere) {
    Library const library("the C library of mathematics", {"libnothing.so.7", "libm.so.6"});
    EXPECT_THAT(library.path(), HasSubstr("libm.so.6"));
    double (*cosine)(double) = nullptr;
    library.find(cosine, "cos");
    ASSERT_NE(cosine, nullptr);
    EXPECT_EQ(cosine(0.0), 1.0);
}

TEST(Library, SaysOfEachFileWhyItIsNotTaken) {
    EXPECT_THAT(error_of([] {
                    Library("Nothing 7", {"libnothing.so.7", "libnothing.so.8"});
                }),
                AllOf(HasSubstr("Nothing 7 is not there"), HasSubstr("libnothing.so.7: "),
                      HasSubstr("libnothing.so.8: ")));
}

TEST(Library, SaysWhichFunctionIsMissingAndWhichVersionHasIt) {
    Library const library("Mathematics 99 or newer", {"libm.so.6"});
    void (*function)() = nullptr;
    EXPECT_THAT(error_of([&] { library.find(function, "prove"); }),
                AllOf(HasSubstr("libm.so.6 has no function prove"),
                      HasSubstr("Mathematics 99 or newer is needed")));
    library.find_if_there(function, "prove");
    EXPECT_EQ(function, nullptr);
}

}  // namespace
}  // namespace tesserank::kernels
