#include "model/kv_cache.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace tesserank::model {
namespace {

using kernels::DType;

TEST(KvCache, HasEachLayersOwnWidth) {
    auto const backend = kernels::make_reference_backend();
    KvCache cache(*backend, DType::bf16, {8, 0, 24});
    EXPECT_EQ(cache.bytes_per_token(), 2 * (8 + 0 + 24) * 2);
    cache.reserve(5);
    EXPECT_EQ(cache.keys(0).rows, 5);
    EXPECT_EQ(cache.keys(0).cols, 8);
    EXPECT_EQ(cache.values(1).cols, 0);
    EXPECT_EQ(cache.values(2).cols, 24);
    EXPECT_EQ(cache.values(2).dtype, DType::bf16);
    EXPECT_NE(cache.keys(2).data, cache.values(2).data);
}

TEST(KvCache, GrowsButNeverShrinks) {
    auto const backend = kernels::make_reference_backend();
    KvCache cache(*backend, DType::f32, {4});
    cache.reserve(3);
    cache.reserve(7);
    EXPECT_EQ(cache.keys(0).rows, 7);
    auto const* const memory = cache.keys(0).data;
    cache.reserve(2);
    EXPECT_EQ(cache.keys(0).rows, 7);
    EXPECT_EQ(cache.keys(0).data, memory);
}

}  // namespace
}  // namespace tesserank::model
