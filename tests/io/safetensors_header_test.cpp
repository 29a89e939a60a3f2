#include "io/safetensors/header.hpp"
#include "kernels/error.hpp"
#include "tests/io/safetensors_bytes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace tesserank::io {
namespace {

using kernels::InputError;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<SafetensorsTensor> parse(std::string const& header, std::size_t data_bytes) {
    return parse_safetensors_header(header, 8 + header.size() + data_bytes, "x.safetensors");
}

std::string error_of(std::string const& header, std::size_t data_bytes) {
    try {
        parse(header, data_bytes);
    } catch (InputError const& error) {
        return error.what();
    }
    return "no error";
}

TEST(SafetensorsHeader, TensorsComeInTheOrderOfTheirBytes) {
    std::string const header = R"({"__metadata__":{"format":"pt"},)"
                               R"("a":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]},)"
                               R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]},)"
                               R"("c":{"dtype":"I64","shape":[],"data_offsets":[32,40]}}   )";
    auto const tensors = parse(header, 40);
    ASSERT_EQ(tensors.size(), 3U);
    EXPECT_EQ(tensors[0].name, "b");
    EXPECT_EQ(tensors[0].offset, 8 + header.size());
    EXPECT_EQ(tensors[1].name, "a");
    EXPECT_THAT(tensors[1].shape, ElementsAre(2, 3));
    EXPECT_EQ(tensors[1].bytes, 24U);
    EXPECT_EQ(tensors[2].name, "c");
    EXPECT_EQ(tensors[2].dtype, SafetensorsDType::i64);
    EXPECT_TRUE(tensors[2].shape.empty());
}

TEST(SafetensorsHeader, EveryTypeOfTheFormatHasItsSize) {
    for (auto const& [name, bytes] :
         std::vector<std::pair<std::string, std::size_t>>{{"F64", 8},
                                                          {"F32", 4},
                                                          {"F16", 2},
                                                          {"BF16", 2},
                                                          {"I64", 8},
                                                          {"I32", 4},
                                                          {"I16", 2},
                                                          {"I8", 1},
                                                          {"U8", 1},
                                                          {"U16", 2},
                                                          {"U32", 4},
                                                          {"U64", 8},
                                                          {"BOOL", 1}}) {
        auto const header = one_tensor_header(name, "[3]", "[0," + std::to_string(3 * bytes) + "]");
        auto const tensors = parse(header, 3 * bytes);
        ASSERT_EQ(tensors.size(), 1U) << name;
        EXPECT_EQ(name_of(tensors[0].dtype), name);
        EXPECT_EQ(weight_dtype(tensors[0].dtype).has_value(), name.find('F') != name.npos) << name;
    }
}

TEST(SafetensorsHeader, EmptyTensorsTakeNoPlace) {
    std::string const header =
        R"({"a":{"dtype":"F32","shape":[0,9999999999999],"data_offsets":[4,4]},)"
        R"("b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
        R"("c":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})";
    EXPECT_EQ(parse(header, 4).size(), 3U);
    EXPECT_TRUE(parse("{}", 0).empty());
}

struct Bad {
    std::string name, header;
    std::size_t data_bytes;
    std::string message;
};
void PrintTo(Bad const& bad, std::ostream* out) { *out << bad.name; }

class BadSafetensorsHeader : public ::testing::TestWithParam<Bad> {};

TEST_P(BadSafetensorsHeader, IsRefusedWithItsReason) {
    auto const& bad = GetParam();
    auto const error = error_of(bad.header, bad.data_bytes);
    EXPECT_THAT(error, HasSubstr("x.safetensors"));
    EXPECT_THAT(error, HasSubstr(bad.message));
}

std::string pair_of(std::string const& first, std::string const& second) {
    return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + first +
           R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + second + "}}";
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, BadSafetensorsHeader,
    ::testing::Values(
        Bad{"Overlap", pair_of("[0,4]", "[2,6]"), 6, "\"a\" and \"b\" overlap"},
        Bad{"SamePlace", pair_of("[0,4]", "[0,4]"), 4, "overlap"},
        Bad{"Gap", pair_of("[0,4]", "[5,9]"), 9, "1 bytes before tensor \"b\""},
        Bad{"GapAtBegin", one_tensor_header("U8", "[1]", "[1,2]"), 2, "before tensor"},
        Bad{"LeftOver", one_tensor_header("U8", "[1]", "[0,1]"), 3, "last 2 bytes"},
        Bad{"Truncated", one_tensor_header("U8", "[8]", "[0,8]"), 7, "truncated"},
        Bad{"Reversed", one_tensor_header("U8", "[1]", "[1,0]"), 1, "data_offsets"},
        Bad{"Negative", one_tensor_header("U8", "[1]", "[-1,0]"), 1, "whole number"},
        Bad{"Fraction", one_tensor_header("U8", "[1]", "[0,1.0]"), 1, "whole number"},
        Bad{"HugeOffset", one_tensor_header("U8", "[1]", "[0,18446744073709551615]"), 1,
            "whole number"},
        Bad{"ThreeOffsets", one_tensor_header("U8", "[1]", "[0,1,1]"), 1, "list of 2"},
        Bad{"Mismatch", one_tensor_header("F32", "[2]", "[0,4]"), 4, "shape and dtype need 8"},
        Bad{"Overflow", one_tensor_header("F32", "[4294967296,4294967296]", "[0,0]"), 0,
            "do not fit"},
        Bad{"UnknownDtype", one_tensor_header("Q7", "[1]", "[0,1]"), 1, "\"Q7\""},
        Bad{"Float8", one_tensor_header("F8_E4M3", "[1]", "[0,1]"), 1, "F8_E4M3"},
        Bad{"ManyDimensions",
            one_tensor_header("U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]"), 1,
            "dimensions"},
        Bad{"MissingShape", R"({"t":{"dtype":"U8","data_offsets":[0,1]}})", 1, "shape"},
        Bad{"ExtraKey", R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", 1,
            "\"x\""},
        Bad{"DuplicateTensor",
            R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
            R"("t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
            1, "twice"},
        Bad{"DuplicateKey", R"({"t":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})",
            1, "twice"},
        Bad{"MetadataNumber", R"({"__metadata__":{"a":1}})", 0, "string"},
        Bad{"TextBehindNul", std::string("{}\0more", 7), 0, "NUL"},
        Bad{"NewlineInName", R"({"\n":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2,
            "before tensor \"\\n\" belong"},
        Bad{"NotAnObject", "[1,2]", 0, "object"}, Bad{"NotJson", "{\"a\":", 0, "JSON"},
        Bad{"NotUtf8", "{\"\xff\":1}", 0, "JSON"}, Bad{"TensorIsList", R"({"a":[]})", 0, "object"}),
    [](auto const& test) { return test.param.name; });

TEST(SafetensorsHeader, LengthIsCheckedAgainstTheFile) {
    auto const length = [](std::uint64_t header, std::size_t file_bytes) -> std::string {
        std::array<std::byte, 8> prefix{};
        for (auto& byte : prefix) {
            byte = static_cast<std::byte>(header & 0xFF);
            header >>= 8;
        }
        try {
            return std::to_string(safetensors_header_bytes(prefix, file_bytes, "x"));
        } catch (InputError const& error) {
            return error.what();
        }
    };
    EXPECT_EQ(length(2, 10), "2");
    EXPECT_EQ(length(513, 521), "513");
    EXPECT_THAT(length(3, 10), HasSubstr("the header claims 3 bytes, but the whole file has 10"));
    EXPECT_THAT(length(UINT64_MAX, 10), HasSubstr("18446744073709551615"));
    EXPECT_THAT(length(0, 10), HasSubstr("claims 0 bytes"));
    EXPECT_THAT(length(std::uint64_t{1} << 30, std::size_t{1} << 40), HasSubstr("at most"));
}

}  // namespace
}  // namespace tesserank::io
