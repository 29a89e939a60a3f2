#include "model/workspace.hpp"

#include "kernels/error.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>

namespace tesserank::model {
namespace {

using kernels::DType;

TEST(Workspace, HandsOutAlignedMemoryThatDoesNotOverlap) {
    auto const backend = kernels::make_reference_backend();
    Workspace workspace(*backend, 256);
    auto const first = workspace.take(DType::bf16, 3, 5);
    auto const second = workspace.take(DType::f32, 1, 2);
    EXPECT_EQ(first.rows, 3);
    EXPECT_EQ(first.cols, 5);
    EXPECT_EQ(first.stride, 5);
    EXPECT_GE(second.data, first.data + first.bytes());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second.data) % 64, 0);
}

TEST(Workspace, SaysWhatATensorTakesOfIt) {
    EXPECT_EQ(Workspace::bytes_of(DType::f32, 4, 4), 64);
    EXPECT_EQ(Workspace::bytes_of(DType::f32, 1, 17), 128);
    EXPECT_EQ(Workspace::bytes_of(DType::bf16, 1, 17), 64);
    EXPECT_EQ(Workspace::bytes_of(DType::f32, 0, 17), 0);
}

TEST(Workspace, GivesBackWhatAFrameTook) {
    auto const backend = kernels::make_reference_backend();
    Workspace workspace(*backend, 128);
    auto const kept = workspace.take(DType::f32, 1, 16);
    std::byte* inside = nullptr;
    {
        Workspace::Frame const frame(workspace);
        inside = workspace.take(DType::f32, 1, 16).data;
        EXPECT_THROW(static_cast<void>(workspace.take(DType::f32, 1, 1)), kernels::LogicError);
    }
    auto const next = workspace.take(DType::f32, 1, 16);
    EXPECT_EQ(next.data, inside);
    EXPECT_NE(next.data, kept.data);
}

}  // namespace
}  // namespace tesserank::model
