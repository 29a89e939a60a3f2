#include "tests/emulation/warpgroup.hpp"

#include "kernels/dtype.hpp"
#include "tests/emulation/block.hpp"
#include "tests/emulation/device.hpp"
#include "tests/emulation/executor.hpp"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

namespace tesserank::emulation {
namespace {

constexpr std::size_t depth = 16, piece = 16, warp_rows = 16;
constexpr std::size_t first_address = 1024;

/// Who wrote a piece of shared memory without publishing it: a thread's number + 1.
std::vector<std::size_t>& writers() {
    static std::vector<std::size_t> all(228 * 1024 / piece);
    return all;
}

ThreadProducts& mine() { return Block::current().thread().products; }

/// Where an operand's elements lie.
class Operand {
  public:
    Operand(std::uint64_t descriptor, bool rows_summed)
        : start_{(descriptor & 0x3FFF) << 4},
          leading_{(descriptor >> 16 & 0x3FFF) << 4},
          stride_{(descriptor >> 32 & 0x3FFF) << 4},
          rows_summed_{rows_summed} {
        constexpr std::size_t row_bytes[] = {16, 128, 64, 32};
        row_ = row_bytes[descriptor >> 62];
        if ((descriptor >> 49 & 7) != 0) fail("gives a matrix descriptor with a base offset");
    }

    /// Whether `columns` of B end with a row in memory. Of others, summed along their rows, nobody
    /// is known to make a product.
    bool are_whole(std::size_t columns) const { return !rows_summed_ || columns % (row_ / 2) == 0; }

    /// `index` counts rows of A or columns of B, k is summed over.
    std::size_t offset(std::size_t index, std::size_t k) const {
        std::size_t const across = row_ / 2;
        std::size_t address = start_;
        if (rows_summed_) {
            address += index % across * 2 + k % 8 * row_;
            address += row_ == 16 ? index / 8 * stride_ + k / 8 * leading_
                                  : index / across * leading_ + k / 8 * stride_;
        } else {
            address += index % 8 * row_ + index / 8 * stride_;
            address += row_ == 16 ? k % 8 * 2 + k / 8 * leading_ : k * 2;
        }
        std::size_t const swizzled = row_ / 16 - 1;  // bits of an address
        address ^= (address >> 7 & swizzled) << 4;
        if (address < first_address || address - first_address + 2 > dynamic_shared_bytes()) {
            fail("starts a product with an operand outside of the dynamic shared memory");
        }
        return address - first_address;
    }

    std::uint16_t bits(std::size_t index, std::size_t k) const {
        std::uint16_t value = 0;
        std::memcpy(&value, dynamic_shared() + offset(index, k), sizeof value);
        return value;
    }
    float published(std::size_t index, std::size_t k) const {
        if (writers()[offset(index, k) / piece] != 0) {
            fail("starts a product with an operand that a thread wrote and nobody published");
        }
        return kernels::to_float(kernels::BFloat16{bits(index, k)});
    }

  private:
    std::size_t start_, leading_, stride_, row_ = 0;
    bool rows_summed_;
};

std::size_t first_row() { return Block::current().thread().linear / 32 % 4 * warp_rows; }

/// Of all that the running thread's warp reads.
std::uint64_t hash_of_operands(ProductStart const& start) {
    std::uint64_t hash = 1469598103934665603U;
    auto const take = [&](Operand const& operand, std::size_t first, std::size_t count) {
        for (std::size_t i = first; i < first + count; ++i) {
            for (std::size_t k = 0; k < depth; ++k) {
                hash = (hash ^ operand.bits(i, k)) * 1099511628211U;
            }
        }
    };
    if (start.a_registers.empty()) take(Operand(start.a, false), first_row(), warp_rows);
    take(Operand(start.b, start.b_rows_summed), 0, start.d.size() * 2);
    return hash;
}

std::array<std::array<float, depth>, warp_rows> rows_of_a(Payloads const& lanes) {
    std::array<std::array<float, depth>, warp_rows> a{};
    auto const& start = static_cast<ProductUnderWay*>(lanes[0])->start;
    if (start.a_registers.empty()) {
        Operand const operand(start.a, false);
        for (std::size_t r = 0; r < warp_rows; ++r) {
            for (std::size_t k = 0; k < depth; ++k) a[r][k] = operand.published(first_row() + r, k);
        }
        return a;
    }
    for (std::size_t lane = 0; lane < 32; ++lane) {
        auto const& registers = static_cast<ProductUnderWay*>(lanes[lane])->a_registers;
        for (std::size_t r = 0; r < 4; ++r) {
            for (std::size_t half = 0; half < 2; ++half) {
                auto const bits = static_cast<std::uint16_t>(registers[r] >> 16 * half);
                a[lane / 4 + 8 * (r % 2)][lane % 4 * 2 + 8 * (r / 2) + half] =
                    kernels::to_float(kernels::BFloat16{bits});
            }
        }
    }
    return a;
}

void multiply_together(unsigned, Payloads const& lanes) {
    auto const& start = static_cast<ProductUnderWay*>(lanes[0])->start;
    auto const a = rows_of_a(lanes);
    Operand const operand(start.b, start.b_rows_summed);
    std::vector<std::array<float, depth>> b(start.d.size() * 2);
    for (std::size_t n = 0; n < b.size(); ++n) {
        for (std::size_t k = 0; k < depth; ++k) b[n][k] = operand.published(n, k);
    }
    for (std::size_t lane = 0; lane < 32; ++lane) {
        auto& result = static_cast<ProductUnderWay*>(lanes[lane])->result;
        for (std::size_t i = 0; i < result.size(); ++i) {
            std::size_t const row = lane / 4 + 8 * (i / 2 % 2);
            std::size_t const col = 8 * (i / 4) + lane % 4 * 2 + i % 2;
            float sum = 0.0F;
            for (std::size_t k = 0; k < depth; ++k) sum += a[row][k] * b[col][k];
            result[i] += sum;
        }
    }
}

/// The newest product under way that writes these registers.
ProductUnderWay const* newest_of(float const* d) {
    auto const find = [d](std::vector<ProductUnderWay> const& products) -> ProductUnderWay const* {
        auto const found = std::find_if(products.rbegin(), products.rend(),
                                        [d](auto const& p) { return p.start.d.data() == d; });
        return found == products.rend() ? nullptr : &*found;
    };
    if (auto const* const open = find(mine().open); open != nullptr) return open;
    for (auto group = mine().groups.rbegin(); group != mine().groups.rend(); ++group) {
        if (auto const* const committed = find(*group); committed != nullptr) return committed;
    }
    return nullptr;
}

void check_operands(ProductUnderWay const& product) {
    auto const& registers = product.start.a_registers;
    if (!std::equal(registers.begin(), registers.end(), product.a_registers.begin())) {
        fail("changed registers that a product reads before it waited for the product");
    }
    if (product.operands && *product.operands != hash_of_operands(product.start)) {
        fail("waits for a product whose operands in shared memory have changed meanwhile");
    }
}

}  // namespace

void begin_products() {
    if (capability() != 90) fail("uses wgmma, which only compute capability 9.0 has");
    mine().begun = true;
}

void start_product(ProductStart const& start) {
    if (!mine().begun) fail("starts a product without begin_products()");
    if (blockDim.x % 128 != 0) fail("starts a product in a block without whole warpgroups");
    if (!Operand(start.b, start.b_rows_summed).are_whole(start.d.size() * 2)) {
        fail("starts a product with a part of a panel's columns");
    }
    ProductUnderWay product{.start = start, .result = {}, .a_registers = {}, .operands = {}};
    std::copy(start.a_registers.begin(), start.a_registers.end(), product.a_registers.begin());
    auto const* const before = newest_of(start.d.data());
    if (!start.accumulate) {
        product.result.resize(start.d.size());
    } else if (before != nullptr) {
        product.result = before->result;
    } else {
        product.result.assign(start.d.begin(), start.d.end());
    }
    with_warp(~0U, "a product", &product, multiply_together);
    if (lane() == 0) product.operands = hash_of_operands(start);
    std::fill(start.d.begin(), start.d.end(), std::numeric_limits<float>::quiet_NaN());
    mine().open.push_back(std::move(product));
}

void commit_products() { mine().groups.push_back(std::exchange(mine().open, {})); }

void wait_for_products(std::size_t groups_under_way) {
    auto& groups = mine().groups;
    while (groups.size() > groups_under_way) {
        auto const finished = std::move(groups.front());
        groups.pop_front();
        for (ProductUnderWay const& product : finished) {
            check_operands(product);
            auto const& d = product.start.d;
            if (newest_of(d.data()) == nullptr) {
                std::copy(product.result.begin(), product.result.end(), d.begin());
            }
        }
    }
    mine().begun = false;
}

void written_by_thread(void const* target) {
    auto const* const address = static_cast<std::byte const*>(target);
    if (address < dynamic_shared() || address >= dynamic_shared() + dynamic_shared_bytes()) return;
    auto const index = static_cast<std::size_t>(address - dynamic_shared()) / piece;
    writers()[index] = Block::current().thread().linear + 1;
    mine().unpublished.push_back(index);
}

void publish_to_products() {
    for (std::size_t const index : std::exchange(mine().unpublished, {})) {
        if (writers()[index] == Block::current().thread().linear + 1) writers()[index] = 0;
    }
}

void forget_writers() { std::fill(writers().begin(), writers().end(), 0); }

}  // namespace tesserank::emulation

std::size_t __cvta_generic_to_shared(void const* address) {
    using namespace tesserank::emulation;
    auto const* const byte = static_cast<std::byte const*>(address);
    if (byte < dynamic_shared() || byte >= dynamic_shared() + dynamic_shared_bytes()) {
        fail("takes the shared address of something outside of the dynamic shared memory");
    }
    return static_cast<std::size_t>(byte - dynamic_shared()) + first_address;
}
