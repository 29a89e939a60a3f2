#include "model/kv_cache.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace tesserank::model {
namespace {

using kernels::DType;

constexpr CacheLayer layer_of(std::size_t width) { return {.width = width, .dealt = false}; }

TEST(KvCache, HasEachLayersOwnWidth) {
    auto const backend = kernels::make_reference_backend();
    KvCache cache(*backend, DType::bf16, {layer_of(8), layer_of(0), layer_of(24)});
    EXPECT_EQ(cache.bytes(5, 1), 5 * 2 * (8 + 0 + 24) * 2);
    cache.reserve(5, 1);
    EXPECT_EQ(cache.keys(0).rows, 5);
    EXPECT_EQ(cache.keys(0).cols, 8);
    EXPECT_EQ(cache.values(1).cols, 0);
    EXPECT_EQ(cache.values(2).cols, 24);
    EXPECT_EQ(cache.values(2).dtype, DType::bf16);
    EXPECT_NE(cache.keys(2).data, cache.values(2).data);
}

TEST(KvCache, HoldsOfADealtLayerWhatTheRankOwns) {
    auto const backend = kernels::make_reference_backend();
    KvCache cache(*backend, DType::f32, {layer_of(4), {.width = 4, .dealt = true}});
    cache.reserve(9, 2);
    EXPECT_EQ(cache.keys(0).rows, 9);
    EXPECT_EQ(cache.keys(1).rows, 2);
    EXPECT_EQ(cache.bytes(9, 2), 2 * 4 * sizeof(float) * (9 + 2));
}

TEST(KvCache, GivesItsMemoryBackAndTakesItAgain) {
    auto const backend = kernels::make_reference_backend();
    KvCache cache(*backend, DType::f32, {layer_of(4)});
    cache.reserve(7, 7);
    cache.release();
    EXPECT_EQ(cache.keys(0).rows, 0);
    EXPECT_EQ(cache.values(0).data, nullptr);
    cache.reserve(2, 2);
    EXPECT_EQ(cache.keys(0).rows, 2);
    EXPECT_EQ(cache.values(0).cols, 4);
}

TEST(KvCache, GrowsButNeverShrinks) {
    auto const backend = kernels::make_reference_backend();
    KvCache cache(*backend, DType::f32, {layer_of(4)});
    cache.reserve(3, 3);
    cache.reserve(7, 7);
    EXPECT_EQ(cache.keys(0).rows, 7);
    auto const* const memory = cache.keys(0).data;
    cache.reserve(2, 2);
    EXPECT_EQ(cache.keys(0).rows, 7);
    EXPECT_EQ(cache.keys(0).data, memory);
}

}  // namespace
}  // namespace tesserank::model
