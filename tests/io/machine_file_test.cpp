#include "io/machine_file.hpp"

#include "tests/model/support_config.hpp"
#include "tests/model/support_machine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tesserank::io {
namespace {

using test::input_error_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

MachineFile good_file(int ranks = 2) {
    return {
        model::Machine(test::small_machine(ranks)),
        {.hosts = {"alpha", "beta \"b\""}, .backend = "kokkos", .time = "2026-03-01T12:00:00Z"}};
}

/// The text of a good file with one piece replaced.
std::string spoiled(std::string const& piece, std::string const& by) {
    auto text = machine_text(good_file());
    auto const at = text.find(piece);
    EXPECT_NE(at, std::string::npos) << piece;
    return text.replace(at, piece.size(), by);
}

std::string refusal(std::string const& text, MachineUse const& use = {2, "kokkos"}) {
    return input_error_of([&] { parse_machine(text, "m.json", use); });
}

/// The text without the points of one list.
std::string without(std::string const& list) {
    auto text = machine_text(good_file());
    auto const begin = text.find("\"" + list + "\": [") + list.size() + 5;
    return text.erase(begin, text.find(']', begin) - begin);
}

TEST(MachineFile, GivesBackTheMachineThatWasWritten) {
    for (int const ranks : {1, 2}) {
        auto file = good_file(ranks);
        auto points = file.machine.points();
        points.gemms.front().seconds = 1.0 / 3.0;  // no short decimal
        file.machine = model::Machine(points);
        auto const read = parse_machine(machine_text(file), "m.json", {ranks, "kokkos"});
        EXPECT_EQ(read.machine.points(), points);
        EXPECT_EQ(read.origin, file.origin);
    }
}

TEST(MachineFile, IsOnePointALine) {
    EXPECT_THAT(machine_text(good_file()),
                HasSubstr("\n{\"weight\": \"f32\", \"input\": \"f32\", \"rows\": 64, \"outputs\": "
                          "256, \"inputs\": 256, \"busy\": \"all\", \"seconds\": "));
}

TEST(MachineFile, IsRefusedWithThePlaceAndWhatIsWrong) {
    EXPECT_THAT(refusal("{"), HasSubstr("m.json"));
    EXPECT_THAT(refusal("[]"), HasSubstr("m.json"));
    EXPECT_THAT(refusal(spoiled("tesserank-machine", "tesserank-plan")),
                AllOf(HasSubstr("m.json"), HasSubstr("tesserank-machine")));
    EXPECT_THAT(refusal(spoiled("\"format_version\": 1", "\"format_version\": 2")),
                HasSubstr("format_version"));
    EXPECT_THAT(refusal(spoiled("\"time\": \"2026-03-01T12:00:00Z\", ", "")), HasSubstr("time"));
    EXPECT_THAT(refusal(spoiled("\"nodes\": 2", "\"nodes\": 3")), HasSubstr("nodes"));
    EXPECT_THAT(refusal(spoiled("[\"alpha\"", "[7")), HasSubstr("hosts[0]"));
    EXPECT_THAT(refusal(spoiled("\"pass\": [", "\"gpu\": 1, \"pass\": [")), HasSubstr("gpu"));
    EXPECT_THAT(refusal(spoiled("\"pass\": [", "\"pass\": [7, ")), HasSubstr("pass[0]"));
}

TEST(MachineFile, IsRefusedWithThePointThatIsWrong) {
    EXPECT_THAT(refusal(spoiled("\"weight\": \"f32\"", "\"weight\": \"f31\"")),
                AllOf(HasSubstr("gemm[0].weight"), HasSubstr("f31"), HasSubstr("bf16")));
    EXPECT_THAT(refusal(spoiled("\"input\": \"f32\"", "\"input\": \"f16\"")),
                HasSubstr("gemm[0].input"));
    EXPECT_THAT(refusal(spoiled("\"rows\": 1", "\"rows\": 0")), HasSubstr("gemm[0].rows"));
    EXPECT_THAT(refusal(spoiled("\"outputs\": 256", "\"outputs\": 1e300")),
                HasSubstr("gemm[0].outputs"));
    EXPECT_THAT(refusal(spoiled("\"busy\": \"all\"", "\"busy\": \"some\"")),
                AllOf(HasSubstr("gemm[0].busy"), HasSubstr("all or one")));
    EXPECT_THAT(refusal(spoiled("\"phase\": \"prefill\"", "\"phase\": \"fill\"")),
                HasSubstr("attention[0].phase"));
    EXPECT_THAT(refusal(spoiled("\"kv_heads\": 4", "\"kv_heads\": -4")),
                HasSubstr("attention[0].kv_heads"));
    EXPECT_THAT(refusal(spoiled("\"kind\": \"all-reduce\"", "\"kind\": \"none\"")),
                HasSubstr("collective[0].kind"));
    for (auto const* const seconds : {"0", "-1e-6", "1e300", "null", "\"fast\""}) {
        EXPECT_THAT(refusal(spoiled("\"seconds\": 1e-06", std::string("\"seconds\": ") + seconds)),
                    HasSubstr("pass[0].seconds"))
            << seconds;
    }
}

TEST(MachineFile, NeedsMeasurementsOfEverything) {
    EXPECT_THAT(refusal(without("gemm")), AllOf(HasSubstr("no measurements of gemm"),
                                                HasSubstr("mpirun -n 2 tesserank calibrate")));
    EXPECT_THAT(refusal(without("attention")), HasSubstr("attention"));
    EXPECT_THAT(refusal(without("pass")), HasSubstr("pass"));
    EXPECT_THAT(refusal(without("collective")), HasSubstr("all-reduce"));
}

TEST(MachineFile, IsForOneNumberOfRanksAndOneBackend) {
    auto const text = machine_text(good_file());
    EXPECT_THAT(refusal(text, {3, "kokkos"}),
                AllOf(HasSubstr("m.json"), HasSubstr("ranks"), HasSubstr("found 2"),
                      HasSubstr("mpirun -n 3 tesserank calibrate")));
    EXPECT_THAT(refusal(text, {2, "reference"}),
                AllOf(HasSubstr("backend"), HasSubstr("kokkos"), HasSubstr("reference")));
    EXPECT_EQ(refusal(text, {2, ""}), "no InputError");
}

}  // namespace
}  // namespace tesserank::io
