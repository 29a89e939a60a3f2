#include "io/requests/features_file.hpp"

#include "io/hdf5/dataset.hpp"
#include "io/hdf5/file.hpp"
#include "kernels/error.hpp"
#include "tests/io/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tesserank::io {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(FeaturesFile, HoldsEachPictureOfEachRequest) {
    TemporaryFolder const folder;
    FeaturesFile file(folder.path("f.h5"), 2);
    file.write("b c", 0, std::vector<float>{1, 2, 3, 4});
    file.write("a", 0, std::vector<float>{5, 6});
    file.write("a", 1, std::vector<float>{7, 8, 9, 10, 11, 12});
    EXPECT_FALSE(folder.has("f.h5"));
    file.commit();
    EXPECT_FALSE(folder.has("f.h5.partial"));

    auto const h5 = open_h5(folder.path("f.h5"));
    H5Dataset const dataset(H5Dopen2(h5.get(), "/features/a/1", H5P_DEFAULT));
    EXPECT_THAT(shape_of(dataset), ElementsAre(3U, 2U));
    std::vector<float> values(6);
    EXPECT_GE(
        H5Dread(dataset.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
    EXPECT_THAT(values, ElementsAre(7, 8, 9, 10, 11, 12));
    H5Dataset const other(H5Dopen2(h5.get(), "/features/b c/0", H5P_DEFAULT));
    EXPECT_THAT(shape_of(other), ElementsAre(2U, 2U));
}

TEST(FeaturesFile, NotCommittedLeavesNothing) {
    TemporaryFolder const folder;
    {
        FeaturesFile file(folder.path("f.h5"), 2);
        file.write("a", 0, std::vector<float>{1, 2});
    }
    EXPECT_FALSE(folder.has("f.h5"));
    EXPECT_FALSE(folder.has("f.h5.partial"));
}

TEST(FeaturesFile, ErrorsNameTheFileAndTheId) {
    TemporaryFolder const folder;
    EXPECT_THAT([&] { FeaturesFile(folder.path("no/f.h5"), 2); },
                ThrowsMessage<kernels::InputError>(HasSubstr("no/f.h5: cannot be written")));
    FeaturesFile file(folder.path("f.h5"), 2);
    EXPECT_THAT(
        [&] {
            file.write("a/b", 0, std::vector<float>{1, 2});
        },
        ThrowsMessage<kernels::InputError>(HasSubstr("id: found \"a/b\"")));
    file.write("a", 0, std::vector<float>{1, 2});
    EXPECT_THAT(
        [&] {
            file.write("a", 0, std::vector<float>{1, 2});
        },
        ThrowsMessage<kernels::SystemError>(HasSubstr("f.h5: image features cannot be written")));
}

}  // namespace
}  // namespace tesserank::io
