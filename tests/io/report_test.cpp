#include "io/model_file/report.hpp"

#include "io/model_file/tensor_groups.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tesserank::io {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

StoredTensor tensor_of(std::string const& name, std::vector<std::size_t> const& shape) {
    StoredTensor tensor;
    tensor.name = name;
    tensor.shape = shape;
    tensor.bytes = bytes_of_shape(shape, tensor.dtype);
    tensor.checksums = {0};
    return tensor;
}

ModelIndex small_index() {
    ModelIndex index;
    index.path = "m.h5";
    index.file_bytes = 1234;
    index.created_by = "tesserank x";
    index.documents["config"] = R"({"model_type":"toy","hidden_size":64,"extra":[1],)"
                                R"("vision_config":{"hidden_size":80}})";
    index.sources = {{"model.safetensors", "abc"}};
    index.tensors = {
        tensor_of("l.0.w", {2, 3}),   tensor_of("l.1.w", {2, 3}),  tensor_of("l.2.w", {2, 4}),
        tensor_of("l.10.e.3.w", {5}), tensor_of("l.9.e.0.w", {5}), tensor_of("norm.weight", {7}),
        tensor_of("scalar", {}),
    };
    return index;
}

TEST(TensorGroups, NamesThatDifferInNumbersShareALine) {
    auto const index = small_index();
    auto const groups = group_tensors(index.tensors);
    ASSERT_EQ(groups.size(), 5U);
    EXPECT_EQ(groups[0].name, "l.{0-1}.w");
    EXPECT_EQ(groups[0].count, 2U);
    EXPECT_EQ(groups[1].name, "l.2.w");
    EXPECT_EQ(groups[2].name, "l.{9-10}.e.{0-3}.w");
    EXPECT_EQ(groups[3].name, "norm.weight");
    EXPECT_EQ(groups[4].example->shape.size(), 0U);
}

TEST(Report, SaysWhatIsInTheFile) {
    auto const report = model_report(small_index(), TensorRows::grouped);
    EXPECT_THAT(report, HasSubstr("model_type \"toy\", hidden_size 64"));
    EXPECT_THAT(report, HasSubstr("vision_config hidden_size 80"));
    EXPECT_THAT(report, HasSubstr("38 in 7 tensors"));
    EXPECT_THAT(report, HasSubstr("152, f32 152"));
    EXPECT_THAT(report, HasSubstr("[2, 3]"));
    EXPECT_THAT(report, HasSubstr("6 x 2"));
    EXPECT_THAT(report, Not(HasSubstr("l.1.w")));
    EXPECT_THAT(model_report(small_index(), TensorRows::single), HasSubstr("l.1.w"));
}

TEST(Report, ControlCharactersDoNotReachTheTerminal) {
    auto index = small_index();
    index.documents["config"] = R"({"model_type":"\u001b[2J"})";
    index.created_by = "\x1b[2J";
    index.sources = {{"\x1b[2J", "\x1b"}};
    EXPECT_THAT(model_report(index, TensorRows::grouped), Not(HasSubstr("\x1b")));
    EXPECT_THAT(model_report_json(index), Not(HasSubstr("\x1b")));
}

TEST(Report, JsonIsExact) {
    auto const report = model_report_json(small_index());
    EXPECT_THAT(report, HasSubstr("\"parameters\": 38"));
    EXPECT_THAT(report, HasSubstr("\"weight_bytes\": 152"));
    EXPECT_THAT(report, HasSubstr("\"name\": \"l.10.e.3.w\""));
    EXPECT_THAT(report, HasSubstr("\"extra\""));
}

TEST(Report, AConfigThatIsNoObjectIsLeftOut) {
    auto index = small_index();
    index.documents["config"] = "[]";
    EXPECT_THAT(model_report(index, TensorRows::grouped), Not(HasSubstr("\nconfig")));
    index.documents["config"] = "{\"a\":";
    EXPECT_THAT(model_report(index, TensorRows::grouped), Not(HasSubstr("\nconfig")));
    EXPECT_THAT(model_report_json(index), HasSubstr("\"config\": null"));
}

}  // namespace
}  // namespace tesserank::io
