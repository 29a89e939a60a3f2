#include "tests/parallel/communicator_contract.hpp"

#include "kernels/dtype.hpp"
#include "kernels/error.hpp"
#include "parallel/partition.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace tesserank::test {
namespace {

using kernels::DType;
using kernels::LogicError;
using parallel::Partition;
using Bytes = ContractWorld::Bytes;
using Sizes = std::vector<std::size_t>;

constexpr std::array all_dtypes{DType::f32, DType::bf16, DType::f16};

std::size_t index(int rank) { return static_cast<std::size_t>(rank); }

/// What rank `from` sends to rank `to`: any other pair sends something else.
Bytes letter(int from, int to, std::size_t size) {
    Bytes text(size);
    for (std::size_t i = 0; i < size; ++i) {
        text[i] = static_cast<std::byte>((index(from) * 37 + index(to) * 11 + i * 7) % 251);
    }
    return text;
}

void append(Bytes& all, Bytes const& piece) { all.insert(all.end(), piece.begin(), piece.end()); }

/// The pieces that the ranks send to `to`, in rank order.
Bytes letters_to(int to, Sizes const& sizes) {
    Bytes all;
    for (std::size_t r = 0; r < sizes.size(); ++r) {
        append(all, letter(static_cast<int>(r), to, sizes[r]));
    }
    return all;
}

/// Even and uneven cuts, ranks with nothing, and nothing at all.
std::vector<Sizes> cuts(int ranks, std::size_t unit) {
    std::vector<Sizes> all;
    for (auto const units : Sizes{0, 1, 2, 5, 12, 60, 1009}) {
        all.push_back(Partition(units, ranks).counts(unit));
    }
    Sizes last(index(ranks), 0), every_other(index(ranks), 0);
    last.back() = 19 * unit;
    for (std::size_t r = 1; r < every_other.size(); r += 2) every_other[r] = 8 * r * unit;
    all.push_back(last);
    all.push_back(every_other);
    return all;
}

/// Small integers, whose sums over a few ranks every type holds: no rounding tells how they were
/// added.
float term(int rank, std::size_t position) {
    return static_cast<float>((position * 7 + index(rank) * 13) % 41) - 20.0F;
}
Bytes elements(DType dtype, std::size_t count, auto const& value_at) {
    Bytes bytes(count * size_of(dtype));
    kernels::visit_dtype(dtype, [&]<class T>(T) {
        for (std::size_t i = 0; i < count; ++i) {
            T const value = kernels::from_float<T>(value_at(i));
            std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
        }
    });
    return bytes;
}
Bytes terms(int rank, DType dtype, std::size_t count) {
    return elements(dtype, count, [&](std::size_t i) { return term(rank, i); });
}
/// Elements [first, first + count) of the sum over the ranks.
Bytes sums(int ranks, DType dtype, std::size_t first, std::size_t count) {
    return elements(dtype, count, [&](std::size_t i) {
        float total = 0.0F;
        for (int rank = 0; rank < ranks; ++rank) total += term(rank, first + i);
        return total;
    });
}

TEST_P(CommunicatorContract, KnowsItsRanks) {
    EXPECT_EQ(ranks.rank(), world.rank());
    EXPECT_EQ(ranks.size(), world.size());
}

TEST_P(CommunicatorContract, AllReduceGivesTheSum) {
    for (auto const dtype : all_dtypes) {
        for (auto const count : Sizes{0, 1, 2, 3, 64, 1009}) {
            auto const data = device->upload(terms(ranks.rank(), dtype, count));
            ranks.all_reduce(data, dtype);
            EXPECT_EQ(device->read(data), sums(ranks.size(), dtype, 0, count))
                << name_of(dtype) << ", " << count;
        }
    }
}

TEST_P(CommunicatorContract, AllReduceGivesTheSameBitsOnEveryRank) {
    constexpr std::array<float, 7> nasty{1e4F, 1.0F, -1e4F, 0.1F, 3e-5F, -0.7F, 333.3F};
    for (auto const dtype : all_dtypes) {
        for (auto const count : Sizes{1, 5, 4099}) {
            auto const data = device->upload(elements(dtype, count, [&](std::size_t i) {
                return nasty[(i + index(ranks.rank()) * 5) % nasty.size()] *
                       (1.0F + static_cast<float>(i % 97) / 1024.0F);
            }));
            ranks.all_reduce(data, dtype);
            EXPECT_TRUE(same_on_all_ranks(device->read(data))) << name_of(dtype) << ", " << count;
        }
    }
}

TEST_P(CommunicatorContract, ReduceScatterGivesEachRankItsPieceOfTheSum) {
    for (auto const dtype : all_dtypes) {
        for (auto const& counts : cuts(ranks.size(), 3)) {
            auto const cut = Partition::of_shares(counts);
            auto const own = cut.of(ranks.rank());
            auto const data = device->upload(terms(ranks.rank(), dtype, cut.units()));
            auto const mine = device->allocate(own.count * size_of(dtype));
            ranks.reduce_scatter(data, dtype, counts, mine);
            EXPECT_EQ(device->read(mine), sums(ranks.size(), dtype, own.begin, own.count));
        }
    }
}

TEST_P(CommunicatorContract, AllGatherPutsPiecesInRankOrder) {
    for (auto const& sizes : cuts(ranks.size(), 3)) {
        for (bool const in_place : {false, true}) {
            auto const wanted = letters_to(0, sizes);
            auto const piece = letter(ranks.rank(), 0, sizes[index(ranks.rank())]);
            auto const all = device->allocate(wanted.size());
            auto const begin = Partition::of_shares(sizes).of(ranks.rank()).begin;
            auto const mine =
                in_place ? all.subspan(begin, piece.size()) : device->allocate(piece.size());
            device->write(piece, mine);
            ranks.all_gather(mine, sizes, all);
            EXPECT_EQ(device->read(all), wanted);
        }
    }
}

TEST_P(CommunicatorContract, ReduceGivesTheRootTheSum) {
    for (auto const dtype : all_dtypes) {
        for (int root = 0; root < ranks.size(); ++root) {
            for (auto const count : Sizes{0, 1, 1009}) {
                auto const data = device->upload(terms(ranks.rank(), dtype, count));
                ranks.reduce(data, dtype, root);
                auto const found = device->read(data);
                if (ranks.rank() == root) {
                    EXPECT_EQ(found, sums(ranks.size(), dtype, 0, count));
                }
            }
        }
    }
}

TEST_P(CommunicatorContract, GatherAndScatterAreEachOthersInverse) {
    for (int root = 0; root < ranks.size(); ++root) {
        for (auto const& sizes : cuts(ranks.size(), 2)) {
            bool const here = ranks.rank() == root;
            auto const wanted = letters_to(root, sizes);
            auto const piece = letter(ranks.rank(), root, sizes[index(ranks.rank())]);
            auto const all = device->allocate(here ? wanted.size() : 0);
            auto const mine = device->upload(piece);
            ranks.gather(mine, sizes, all, root);
            if (here) {
                EXPECT_EQ(device->read(all), wanted);
            }
            auto const back = device->allocate(piece.size());
            ranks.scatter(all, sizes, back, root);
            EXPECT_EQ(device->read(back), piece);
        }
    }
}

TEST_P(CommunicatorContract, TheRootsPieceMayBeInItsPlace) {
    for (int root = 0; root < ranks.size(); ++root) {
        auto const sizes = Partition(31, ranks.size()).counts(4);
        bool const here = ranks.rank() == root;
        auto const wanted = letters_to(root, sizes);
        auto const piece = letter(ranks.rank(), root, sizes[index(ranks.rank())]);
        auto const begin = Partition::of_shares(sizes).of(ranks.rank()).begin;
        auto const all = device->allocate(here ? wanted.size() : 0);
        auto const mine = here ? all.subspan(begin, piece.size()) : device->allocate(piece.size());
        device->write(piece, mine);
        ranks.gather(mine, sizes, all, root);
        ranks.scatter(all, sizes, mine, root);
        EXPECT_EQ(device->read(mine), piece);
        if (here) {
            EXPECT_EQ(device->read(all), wanted);
        }
    }
}

TEST_P(CommunicatorContract, TransferReachesOneRank) {
    for (int from = 0; from < ranks.size(); ++from) {
        for (int to = 0; to < ranks.size(); ++to) {
            for (auto const size : Sizes{0, 1, 1000}) {
                auto const data = device->upload(letter(ranks.rank(), 0, size));
                ranks.transfer(data, from, to);
                int const owner = ranks.rank() == to ? from : ranks.rank();
                EXPECT_EQ(device->read(data), letter(owner, 0, size));
            }
        }
    }
}

TEST_P(CommunicatorContract, BroadcastGivesRootsBytesToAll) {
    for (int root = 0; root < ranks.size(); ++root) {
        for (auto const size : Sizes{0, 1, 6, 7, 8, 1000}) {
            auto const data = device->upload(letter(ranks.rank(), root, size));
            ranks.broadcast(data, root);
            EXPECT_EQ(device->read(data), letter(root, root, size));
        }
    }
}

TEST_P(CommunicatorContract, AllToAllDeliversEachPieceToItsRank) {
    // Uneven, with nothing between some pairs, and in one round nothing at all.
    auto const size_between = [](int from, int to, std::size_t round) {
        return round * ((index(from) * 5 + index(to) * 3) % 7) * 9;
    };
    for (auto const round : Sizes{0, 1, 4}) {
        Sizes send_sizes, received_sizes;
        Bytes send, wanted;
        for (int peer = 0; peer < ranks.size(); ++peer) {
            send_sizes.push_back(size_between(ranks.rank(), peer, round));
            received_sizes.push_back(size_between(peer, ranks.rank(), round));
            append(send, letter(ranks.rank(), peer, send_sizes.back()));
            append(wanted, letter(peer, ranks.rank(), received_sizes.back()));
        }
        auto const received = device->allocate(wanted.size());
        ranks.all_to_all(device->upload(send), send_sizes, received, received_sizes);
        EXPECT_EQ(device->read(received), wanted) << "round " << round;
    }
}

TEST_P(CommunicatorContract, CallsFollowEachOther) {
    auto const sizes = Partition(8, ranks.size()).counts(4);
    auto const own = Partition::of_shares(sizes).of(ranks.rank());
    auto const data = device->upload(terms(ranks.rank(), DType::f32, 8));
    auto const all = device->allocate(data.size());
    ranks.all_reduce(data, DType::f32);
    ranks.all_gather(data.subspan(own.begin, own.count), sizes, all);
    ranks.all_reduce(all, DType::f32);
    auto const wanted = elements(DType::f32, 8, [&](std::size_t i) {
        float total = 0.0F;
        for (int rank = 0; rank < ranks.size(); ++rank) total += term(rank, i);
        return total * static_cast<float>(ranks.size());
    });
    EXPECT_EQ(device->read(all), wanted);
}

TEST_P(CommunicatorContract, RegisteredMemoryIsExchangedAsEver) {
    auto const data = device->upload(terms(ranks.rank(), DType::f32, 1009));
    auto const registration = ranks.register_memory(data);
    ranks.all_reduce(data, DType::f32);
    EXPECT_EQ(device->read(data), sums(ranks.size(), DType::f32, 0, 1009));
}

TEST_P(CommunicatorContract, RefusesSizesThatDoNotFit) {
    auto const data = device->allocate(6), all = device->allocate(5);
    Sizes const none, large(index(ranks.size()), 100);
    EXPECT_THROW(ranks.all_reduce(data, DType::f32), LogicError);
    EXPECT_THROW(ranks.reduce_scatter(data, DType::bf16, large, all.first(4)), LogicError);
    EXPECT_THROW(ranks.reduce_scatter(data, DType::bf16, none, all.first(4)), LogicError);
    EXPECT_THROW(ranks.broadcast(data, ranks.size()), LogicError);
    EXPECT_THROW(ranks.broadcast(data, -1), LogicError);
    EXPECT_THROW(ranks.reduce(data, DType::bf16, ranks.size()), LogicError);
    EXPECT_THROW(ranks.transfer(data, 0, ranks.size()), LogicError);
    EXPECT_THROW(ranks.all_gather(data, none, all), LogicError);
    EXPECT_THROW(ranks.all_gather(data, large, all), LogicError);
    EXPECT_THROW(ranks.gather(data, large, all, 0), LogicError);
    EXPECT_THROW(ranks.scatter(all, none, data, 0), LogicError);
    EXPECT_THROW(ranks.all_to_all(data, none, all, none), LogicError);
}

}  // namespace
}  // namespace tesserank::test
