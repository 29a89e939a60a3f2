#include "kernels/error.hpp"
#include "tests/io/model_file_fixture.hpp"
#include "tests/io/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace tesserank::io {
namespace {

using ::testing::HasSubstr;

std::string error_of(std::string const& path) {
    try {
        read_model_index(path);
    } catch (kernels::InputError const& error) {
        EXPECT_THAT(error.what(), HasSubstr(path));
        return error.what();
    }
    return "no error";
}

/// What is said of a model file after `spoil`.
std::string error_after(std::function<void(hid_t)> const& spoil) {
    TemporaryFolder const folder;
    write_raw_model(folder.path("m.h5"), spoil);
    return error_of(folder.path("m.h5"));
}

void replace_number(hid_t object, char const* name, std::uint64_t number) {
    H5Adelete(object, name);
    add_numbers(object, name, {number});
}

TEST(HostileModelFile, AGoodOneIsNoError) {
    EXPECT_EQ(error_after([](hid_t) {}), "no error");
}

TEST(HostileModelFile, OtherFormatsAreNamed) {
    EXPECT_THAT(error_after([](hid_t file) { replace_number(file, "format_version", 99); }),
                HasSubstr("format version 99, but this tesserank reads version 1"));
    EXPECT_THAT(error_after([](hid_t file) { H5Adelete(file, "format"); }),
                HasSubstr("not a tesserank model file"));
    EXPECT_THAT(error_after([](hid_t file) {
                    H5Adelete(file, "format");
                    add_text(file, "format", "other");
                }),
                HasSubstr("not a tesserank model file"));
    EXPECT_THAT(error_after([](hid_t file) {
                    H5Adelete(file, "format_version");
                    add_text(file, "format_version", "1");
                }),
                HasSubstr("unsigned 64-bit"));
}

TEST(HostileModelFile, MissingPartsAreNamed) {
    EXPECT_THAT(error_after([](hid_t file) { H5Ldelete(file, "config", H5P_DEFAULT); }),
                HasSubstr("/config is missing"));
    EXPECT_THAT(error_after([](hid_t file) { H5Ldelete(file, "weights", H5P_DEFAULT); }),
                HasSubstr("/weights is missing"));
    EXPECT_THAT(error_after([](hid_t file) {
                    H5Adelete_by_name(file, "weights/good", "checksum", H5P_DEFAULT);
                }),
                HasSubstr("/weights/good: attribute \"checksum\" is missing"));
}

// The tensor is [2, 2].
TEST(HostileModelFile, RegionsMustMakeTheShape) {
    auto const with = [](std::vector<std::uint64_t> const& numbers) {
        return error_after([&](hid_t file) {
            auto const dataset = checked(H5Dopen2(file, "weights/good", H5P_DEFAULT));
            add_numbers(dataset, "region", numbers);
            H5Dclose(dataset);
        });
    };
    EXPECT_EQ(with({5, 2, 3, 2}), "no error");
    EXPECT_EQ(with({5, 1, 3, 2, 9, 1, 3, 2}), "no error");
    constexpr std::uint64_t huge = std::uint64_t{1} << 60;
    for (auto const& wrong : {std::vector<std::uint64_t>{},
                              {5, 2},
                              {5, 3, 3, 2},
                              {5, 1, 3, 2},
                              {5, 2, 3, 1},
                              {5, 1, 3, 2, 5, 1, 3, 2},
                              {huge, 2, 0, 2},
                              {0, 2, huge, 2},
                              {0, huge, 0, 2, huge, huge, 0, 2}}) {
        EXPECT_THAT(with(wrong), HasSubstr("/weights/good: ")) << ::testing::PrintToString(wrong);
    }
}

TEST(HostileModelFile, ElementTypesAreChecked) {
    for (auto const type : {H5T_IEEE_F64LE, H5T_STD_I32LE, H5T_IEEE_F32BE}) {
        EXPECT_THAT(error_after([&](hid_t file) { add_raw_tensor(file, "bad", type, {4}, {0}); }),
                    HasSubstr("/weights/bad: has an element type"));
    }
}

TEST(HostileModelFile, OnlyContiguousDataIsRead) {
    auto const with = [](std::function<void(hid_t)> const& layout) {
        return error_after([&](hid_t file) {
            auto const creation = checked(H5Pcreate(H5P_DATASET_CREATE));
            layout(creation);
            H5Dclose(add_raw_dataset(file, "bad", H5T_IEEE_F32LE, {8}, creation));
            H5Pclose(creation);
        });
    };
    hsize_t const chunk = 4;
    EXPECT_THAT(with([&](hid_t list) { H5Pset_chunk(list, 1, &chunk); }),
                HasSubstr("not contiguous"));
    EXPECT_THAT(with([&](hid_t list) {
                    H5Pset_chunk(list, 1, &chunk);
                    H5Pset_deflate(list, 5);
                }),
                HasSubstr("not contiguous"));
    EXPECT_THAT(with([](hid_t list) { H5Pset_layout(list, H5D_COMPACT); }),
                HasSubstr("not contiguous"));
    EXPECT_THAT(with([](hid_t list) { H5Pset_external(list, "/etc/passwd", 0, 32); }),
                HasSubstr("another file"));
    EXPECT_THAT(with([](hid_t list) { H5Pset_alloc_time(list, H5D_ALLOC_TIME_LATE); }),
                HasSubstr("never written"));
}

TEST(HostileModelFile, LinksToOtherPlacesAreRefused) {
    EXPECT_THAT(error_after([](hid_t file) {
                    H5Lcreate_soft("/weights/good", file, "weights/bad", H5P_DEFAULT, H5P_DEFAULT);
                }),
                HasSubstr("link to another place"));
    EXPECT_THAT(error_after([](hid_t file) {
                    H5Lcreate_external("/etc/x.h5", "/w", file, "weights/bad", H5P_DEFAULT,
                                       H5P_DEFAULT);
                }),
                HasSubstr("link to another place"));
    EXPECT_THAT(error_after([](hid_t file) {
                    H5Lcreate_hard(file, "/weights/good", file, "weights/twin", H5P_DEFAULT,
                                   H5P_DEFAULT);
                }),
                HasSubstr("linked twice"));
    EXPECT_THAT(error_after([](hid_t file) {
                    H5Lcreate_hard(file, "/weights", file, "weights/loop", H5P_DEFAULT,
                                   H5P_DEFAULT);
                }),
                HasSubstr("linked twice"));
    EXPECT_THAT(error_after([](hid_t file) {
                    H5Ldelete(file, "config", H5P_DEFAULT);
                    H5Lcreate_soft("/weights/good", file, "config", H5P_DEFAULT, H5P_DEFAULT);
                }),
                HasSubstr("link to another place"));
}

TEST(HostileModelFile, NamesAndDepthAreChecked) {
    EXPECT_THAT(
        error_after([](hid_t file) { add_raw_tensor(file, "a.b", H5T_IEEE_F32LE, {1}, {0}); }),
        HasSubstr("'.'"));
    EXPECT_THAT(error_after([](hid_t file) {
                    std::string path = "weights";
                    for (int i = 0; i < 40; ++i) {
                        path += "/g";
                        H5Gclose(checked(
                            H5Gcreate2(file, path.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)));
                    }
                }),
                HasSubstr("nested too deeply"));
    EXPECT_THAT(
        error_after([](hid_t file) {
            auto const type = checked(H5Tcopy(H5T_IEEE_F32LE));
            checked(H5Tcommit2(file, "weights/type", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
            H5Tclose(type);
        }),
        HasSubstr("is not a data set"));
}

TEST(HostileModelFile, ChecksumAttributesAreChecked) {
    auto const with = [](std::vector<std::uint64_t> const& checksums, std::uint64_t block_bytes,
                         hid_t type) {
        return error_after([&](hid_t file) {
            auto const dataset = add_raw_dataset(file, "bad", H5T_IEEE_F32LE, {8});
            add_numbers(dataset, "block_bytes", {block_bytes});
            add_numbers(dataset, "checksum", checksums, type);
            H5Dclose(dataset);
        });
    };
    EXPECT_EQ(with({1}, 32, H5T_STD_U64LE), "no error");
    EXPECT_THAT(with({1, 2}, 32, H5T_STD_U64LE), HasSubstr("has 2 numbers, expected 1"));
    EXPECT_THAT(with({}, 32, H5T_STD_U64LE), HasSubstr("has 0 numbers, expected 1"));
    EXPECT_THAT(with({1}, 32, H5T_STD_I64LE), HasSubstr("unsigned 64-bit"));
    for (std::uint64_t const wrong :
         {std::uint64_t{0}, std::uint64_t{6}, std::uint64_t{8} << 20, UINT64_MAX}) {
        EXPECT_THAT(with({1}, wrong, H5T_STD_U64LE), HasSubstr("block_bytes is"));
    }
}

TEST(HostileModelFile, TextsMustBeTexts) {
    EXPECT_THAT(error_after([](hid_t file) {
                    H5Ldelete(file, "config", H5P_DEFAULT);
                    H5Dclose(add_raw_dataset(file, "/config", H5T_IEEE_F32LE, {1}));
                }),
                HasSubstr("/config: is not one text"));
    EXPECT_THAT(error_after([](hid_t file) {
                    H5Adelete_by_name(file, "config", "checksum", H5P_DEFAULT);
                    auto const config = checked(H5Dopen2(file, "config", H5P_DEFAULT));
                    add_numbers(config, "checksum", {1});
                    H5Dclose(config);
                }),
                HasSubstr("/config: does not have its checksum"));
}

TEST(HostileModelFile, EveryTruncationIsAnError) {
    TemporaryFolder const folder;
    auto const path = write_small_model(folder.path("m.h5"));
    auto const bytes = folder.read("m.h5");
    for (std::size_t keep = 0; keep < bytes.size(); keep += bytes.size() / 97) {
        folder.write("m.h5", bytes.substr(0, keep));
        EXPECT_NE(error_of(path), "no error") << keep;
    }
}

/// The index may have changed into another right one, but must not take the program down.
TEST(HostileModelFile, NoSingleWrongByteOfTheIndexCrashes) {
    TemporaryFolder const folder;
    write_raw_model(folder.path("m.h5"), [](hid_t) {});
    auto const good = folder.read("m.h5");
    std::fstream file(folder.path("m.h5"), std::ios::in | std::ios::out | std::ios::binary);
    auto const put = [&](std::size_t place, char byte) {
        file.seekp(static_cast<std::streamoff>(place));
        file.put(byte).flush();
    };
    std::size_t refused = 0;
    for (std::size_t place = 0; place < good.size(); ++place) {
        put(place, static_cast<char>(good[place] ^ 0x21));
        if (error_of(folder.path("m.h5")) != "no error") ++refused;
        put(place, good[place]);
    }
    EXPECT_GT(refused, good.size() / 4);
}

}  // namespace
}  // namespace tesserank::io
