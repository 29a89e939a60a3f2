#include "io/images/decode.hpp"

#include "kernels/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spng.h>
#include <turbojpeg.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace tesserank::io {
namespace {

using Bytes = std::vector<std::byte>;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

Picture gradient(std::size_t width, std::size_t height) {
    Picture picture(width, height);
    for (std::size_t i = 0; i < picture.rgb.size(); ++i) {
        picture.rgb[i] = static_cast<std::uint8_t>(i * 7 % 251);
    }
    return picture;
}

template <class T>
Bytes copied(T const* data, std::size_t size) {
    auto const* const bytes = reinterpret_cast<std::byte const*>(data);
    return {bytes, bytes + size};
}

Bytes as_png(Picture const& picture) {
    auto* const context = spng_ctx_new(SPNG_CTX_ENCODER);
    spng_set_option(context, SPNG_ENCODE_TO_BUFFER, 1);
    spng_ihdr header{};
    header.width = static_cast<std::uint32_t>(picture.width);
    header.height = static_cast<std::uint32_t>(picture.height);
    header.bit_depth = 8;
    header.color_type = SPNG_COLOR_TYPE_TRUECOLOR;
    spng_set_ihdr(context, &header);
    spng_encode_image(context, picture.rgb.data(), picture.rgb.size(), SPNG_FMT_PNG,
                      SPNG_ENCODE_FINALIZE);
    std::size_t size = 0;
    int error = 0;
    void* const data = spng_get_png_buffer(context, &size, &error);
    auto const bytes = copied(static_cast<char const*>(data), size);
    std::free(data);
    spng_ctx_free(context);
    return bytes;
}

Bytes as_jpeg(std::vector<std::uint8_t> const& pixels, int width, int height, TJPF format) {
    auto* const handle = tjInitCompress();
    unsigned char* data = nullptr;
    unsigned long size = 0;
    bool const cmyk = format == TJPF_CMYK;
    EXPECT_EQ(tjCompress2(handle, pixels.data(), width, 0, height, format, &data, &size,
                          cmyk ? TJSAMP_444 : TJSAMP_420, 90, 0),
              0);
    auto const bytes = copied(data, size);
    tjFree(data);
    tjDestroy(handle);
    return bytes;
}

Bytes as_jpeg(Picture const& picture) {
    return as_jpeg(picture.rgb, static_cast<int>(picture.width), static_cast<int>(picture.height),
                   TJPF_RGB);
}

Bytes as_webp(Picture const& picture) {
    std::uint8_t* data = nullptr;
    auto const width = static_cast<int>(picture.width), height = static_cast<int>(picture.height);
    std::size_t const size =
        WebPEncodeLosslessRGB(picture.rgb.data(), width, height, width * 3, &data);
    auto const bytes = copied(data, size);
    WebPFree(data);
    return bytes;
}

Bytes as_animation(Picture const& picture) {
    WebPAnimEncoderOptions options{};
    WebPAnimEncoderOptionsInit(&options);
    auto const width = static_cast<int>(picture.width), height = static_cast<int>(picture.height);
    auto* const encoder = WebPAnimEncoderNew(width, height, &options);
    WebPConfig config{};
    WebPConfigInit(&config);
    for (int frame = 0; frame < 2; ++frame) {
        WebPPicture source{};
        WebPPictureInit(&source);
        source.use_argb = 1;
        source.width = width;
        source.height = height;
        auto rgb = picture.rgb;
        rgb.front() = static_cast<std::uint8_t>(frame * 200);
        WebPPictureImportRGB(&source, rgb.data(), width * 3);
        WebPAnimEncoderAdd(encoder, &source, frame * 100, &config);
        WebPPictureFree(&source);
    }
    WebPAnimEncoderAdd(encoder, nullptr, 200, nullptr);
    WebPData data{};
    WebPAnimEncoderAssemble(encoder, &data);
    auto const bytes = copied(data.bytes, data.size);
    WebPDataClear(&data);
    WebPAnimEncoderDelete(encoder);
    return bytes;
}

/// With another width and height in the header, whose checksum is right again.
Bytes with_header_size(Bytes png, std::uint32_t width, std::uint32_t height) {
    auto const put = [&](std::size_t at, std::uint32_t value) {
        for (std::size_t i = 0; i < 4; ++i)
            png[at + i] = static_cast<std::byte>(value >> (24 - 8 * i));
    };
    put(16, width);
    put(20, height);
    std::uint32_t crc = 0xffffffffU;
    for (std::size_t i = 12; i < 29; ++i) {
        crc ^= std::to_integer<std::uint32_t>(png[i]);
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1U ^ (crc & 1U ? 0xedb88320U : 0U);
    }
    put(29, ~crc);
    return png;
}

auto refuses(std::string const& text) {
    return ThrowsMessage<kernels::InputError>(HasSubstr(text));
}

TEST(DecodeTest, WhatIsStoredWithoutLossComesBack) {
    auto const picture = gradient(13, 9);
    for (auto const& file : {as_png(picture), as_webp(picture)}) {
        auto const decoded = decode_picture(file);
        EXPECT_EQ(decoded.width, 13U);
        EXPECT_EQ(decoded.height, 9U);
        EXPECT_EQ(decoded.rgb, picture.rgb);
    }
    EXPECT_EQ(decode_picture(as_jpeg(picture)).rgb.size(), picture.rgb.size());
}

TEST(DecodeTest, FilesThatEndTooEarlyAreRefused) {
    auto const picture = gradient(60, 50);
    for (auto const& file : {as_png(picture), as_webp(picture), as_jpeg(picture)}) {
        for (std::size_t const left :
             {std::size_t{12}, file.size() / 4, file.size() / 2, file.size() - 20}) {
            EXPECT_THROW(decode_picture(std::span(file).first(left)), kernels::InputError)
                << left << " of " << file.size();
        }
    }
}

TEST(DecodeTest, WhatIsNoPictureIsNamed) {
    EXPECT_THAT([] { decode_picture({}); }, refuses("empty"));
    std::string const text = "This is not a picture at all, whatever its name says.";
    EXPECT_THAT([&] { decode_picture(std::as_bytes(std::span(text))); }, refuses("neither JPEG"));
    std::string const gif = "GIF89a..............";
    EXPECT_THAT([&] { decode_picture(std::as_bytes(std::span(gif))); }, refuses("neither JPEG"));
}

TEST(DecodeTest, SizesThatOnlyAHeaderClaimsAreRefusedBeforeMemoryIsTaken) {
    auto const png = as_png(gradient(4, 4));
    EXPECT_THAT([&] { decode_picture(with_header_size(png, 60'000, 60'000)); },
                refuses("60000 x 60000 pixels; at most 100000000"));
    EXPECT_THROW(decode_picture(with_header_size(png, 0, 4)), kernels::InputError);
    EXPECT_THROW(decode_picture(with_header_size(png, 40, 40)), kernels::InputError);
    EXPECT_THAT([&] { decode_picture(png, {.pixels = 15}); }, refuses("4 x 4 pixels; at most 15"));
    EXPECT_THAT([&] { decode_picture(png, {.file_bytes = 10}); }, refuses("at most 10"));
}

TEST(DecodeTest, CmykAndAnimationsAreRefusedByName) {
    std::vector<std::uint8_t> const cmyk(16 * 16 * 4, 100);
    EXPECT_THAT([&] { decode_picture(as_jpeg(cmyk, 16, 16, TJPF_CMYK)); }, refuses("CMYK"));
    EXPECT_THAT([&] { decode_picture(as_animation(gradient(20, 20))); }, refuses("animated WebP"));
    // The chunk that makes a PNG an animation, behind its header.
    auto png = as_png(gradient(4, 4));
    std::string const chunk("\0\0\0\10acTL\0\0\0\2\0\0\0\0\xf3\x8d\x93\x70", 20);
    auto const bytes = copied(chunk.data(), chunk.size());
    png.insert(png.begin() + 33, bytes.begin(), bytes.end());
    EXPECT_THAT([&] { decode_picture(png); }, refuses("animated PNG"));
}

TEST(DecodeTest, EachOrientationIsTurnedUpright) {
    // Pixels 1 2 3 / 4 5 6.
    Picture picture(3, 2);
    for (std::size_t i = 0; i < 6; ++i) picture.rgb[3 * i] = static_cast<std::uint8_t>(i + 1);
    std::vector<std::vector<int>> const upright{
        {1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1}, {4, 5, 6, 1, 2, 3},
        {1, 4, 2, 5, 3, 6}, {4, 1, 5, 2, 6, 3}, {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4}};
    for (int orientation = 1; orientation <= 8; ++orientation) {
        auto const turned = detail::turn_upright(picture, orientation);
        std::vector<int> reds;
        for (std::size_t i = 0; i < 6; ++i) reds.push_back(turned.rgb[3 * i]);
        EXPECT_EQ(reds, upright[static_cast<std::size_t>(orientation) - 1]) << orientation;
        EXPECT_EQ(turned.width, orientation >= 5 ? 2U : 3U);
    }
    for (int const odd : {0, 9, -1}) EXPECT_EQ(detail::turn_upright(picture, odd).width, 3U);
}

}  // namespace
}  // namespace tesserank::io
