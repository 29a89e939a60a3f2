#include "io/images/load_tiles.hpp"

#include "kernels/error.hpp"
#include "tests/io/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <thread>

namespace tesserank::io {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::string const images = TESSERANK_SOURCE_DIR "/tests/golden/models/internvl-hf/images";

PictureOptions options_for(std::string folder) {
    PictureOptions options;
    options.folder = std::move(folder);
    options.tiling.tile = 56;
    options.tiling.most_tiles = 4;
    return options;
}

void refuses(std::string const& source, PictureOptions const& options, std::string const& text) {
    EXPECT_THAT([&] { load_tiles(source, options); },
                ThrowsMessage<kernels::InputError>(HasSubstr(text)))
        << source;
}

TEST(LoadTiles, TakesPathsFromTheFolderAndAbsoluteOnes) {
    auto const relative = load_tiles("image0.png", options_for(images));
    EXPECT_EQ(relative.tiles, 3U);
    EXPECT_EQ(relative.rgb.size(), 3U * 56 * 56 * 3);
    EXPECT_EQ(load_tiles(images + "/image0.png", options_for("/nowhere")).rgb, relative.rgb);
}

TEST(LoadTiles, ContentDecidesNotTheName) {
    TemporaryFolder const folder;
    std::filesystem::copy_file(images + "/image2.png", folder.path("picture.jpg"));
    EXPECT_EQ(load_tiles("picture.jpg", options_for(folder.path(""))).tiles, 1U);
    folder.write("text.png", "no picture at all");
    refuses("text.png", options_for(folder.path("")), "neither JPEG nor PNG nor WebP");
}

TEST(LoadTiles, WhatIsNoFileIsRefusedWithoutWaiting) {
    TemporaryFolder const folder;
    auto const options = options_for(folder.path(""));
    ASSERT_EQ(mkfifo(folder.path("pipe.png").c_str(), 0600), 0);
    refuses("pipe.png", options, "pipe.png: is not a plain file");
    refuses("/dev/zero", options, "/dev/zero: is not a plain file");
    refuses(".", options, "is not a plain file");
    refuses("missing.png", options, "missing.png: cannot be opened: No such file");
    refuses(std::string("image0.png\0x", 12), options_for(images), "NUL");
    refuses("https://example.org/a.png", options, "an address of https, which is not fetched");
    refuses("file:///a.png", options, "an address of file");
}

TEST(LoadTiles, LimitsHoldForFilesAndDataUrls) {
    auto options = options_for(images);
    options.limits.file_bytes = 100;
    refuses("image0.png", options, "at most 100 are read of a picture (--max-image-bytes)");
    refuses("data:image/png;base64," + std::string(400, 'A'), options, "a file of 300 bytes");
    options = options_for(images);
    options.limits.pixels = 5000;
    refuses("image0.png", options, "96 x 60 pixels; at most 5000 pixels are read");
}

TEST(LoadTiles, WaitsForRoomBeforeItDecodes) {
    auto const options = options_for(images);
    std::optional<DecodeRoom::Share> all = options.room->take(std::size_t{1} << 40);
    std::atomic<bool> loaded = false;
    std::jthread const other([&] {
        load_tiles("image0.png", options);
        loaded = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_FALSE(loaded);
    all.reset();
}

TEST(LoadTiles, ABadPictureGivesItsRoomBack) {
    TemporaryFolder const folder;
    std::ifstream file(images + "/image0.png", std::ios::binary);
    std::string const whole((std::istreambuf_iterator<char>(file)), {});
    folder.write("cut.png", whole.substr(0, whole.size() / 2));
    auto const options = options_for(folder.path(""));
    refuses("cut.png", options, "a damaged PNG");
    options.room->take(std::size_t{1} << 40);  // waits for ever unless nobody has any
}

TEST(LoadTiles, DataUrlsArePicturesToo) {
    // A PNG of one red pixel.
    auto const red = load_tiles(
        "data:image/"
        "png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQ"
        "DJ/pLvAAAAAElFTkSuQmCC",
        options_for(""));
    EXPECT_EQ(red.tiles, 1U);
    EXPECT_EQ(red.rgb[0], 255);
    EXPECT_EQ(red.rgb[1], 0);
    refuses("data:image/png;base64,AAAA", options_for(""), "neither JPEG");
}

}  // namespace
}  // namespace tesserank::io
