#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

/// Hopper's asynchronous products, as the PTX ISA documents wgmma: m64nNk16 of bf16 with sums in
/// f32. They run between their start and the wait for them, so a mistake is
/// - a product without begin_products() since the thread waited last,
/// - an accumulator that is used before the wait: it holds NaNs until then,
/// - operands, in registers or shared memory, that change before the wait,
/// - an operand that copy_async16() or store16() wrote and whose writer did not publish it,
/// - B summed along its rows with only a part of the columns that a row has in memory.
namespace tesserank::emulation {

struct ProductStart {
    std::span<float> d;                            ///< this thread's N/2 elements of [64, N]
    std::span<std::uint32_t const> a_registers{};  ///< or empty: see `a`
    std::uint64_t a = 0;                           ///< descriptor, summed along columns
    std::uint64_t b = 0;                           ///< descriptor
    bool b_rows_summed = false;                    ///< B is stored [16, N], else [N, 16]
    bool accumulate = true;
};

void begin_products();
void start_product(ProductStart const& start);
void commit_products();
void wait_for_products(std::size_t groups_under_way);
void publish_to_products();

/// What one thread knows of a product between start and wait.
struct ProductUnderWay {
    ProductStart start;
    std::vector<float> result;  ///< what `d` will be
    std::array<std::uint32_t, 4> a_registers{};
    std::optional<std::uint64_t> operands;  ///< a hash of shared memory, in one lane of a warp
};

struct ThreadProducts {
    bool begun = false;
    std::vector<ProductUnderWay> open;  ///< not in a group yet
    std::deque<std::vector<ProductUnderWay>> groups;
    std::vector<std::size_t> unpublished;  ///< pieces that the thread wrote
};

/// A 16-byte piece of shared memory that the running thread wrote.
void written_by_thread(void const* target);
/// A block begins: all pieces are as good as published.
void forget_writers();

}  // namespace tesserank::emulation
