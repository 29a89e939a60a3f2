#include "parallel/peer_sums.hpp"

#include "kernels/cuda_device.hpp"
#include "kernels/error.hpp"
#include "kernels/resident_decode.hpp"
#include "parallel/collective_ring.hpp"
#include "tests/support/mpi_test.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace tesserank::test {
namespace {

using kernels::DType;
using kernels::TensorView;
using Floats = std::vector<float>;

/// Ranks of one device, or of several; the emulated one is large enough for many rows of all.
class PeerSumsTest : public MpiTest {
  protected:
    static constexpr float eps = 1e-5F;

    std::unique_ptr<kernels::Backend> make_backend() const {
        ::setenv("TESSERANK_EMULATED_MULTIPROCESSORS", "64", 1);
        auto const devices = kernels::find_cuda_devices().list.size();
        return kernels::make_cuda_backend(devices == 0 ? 0
                                                       : world.rank() % static_cast<int>(devices));
    }

    PeerSumsTest() {
        backend->set_watch([this](double seconds) { peers.check(seconds); });
    }
    ~PeerSumsTest() override { backend->set_watch(nullptr); }

    /// The same on all ranks for the same seed.
    static Floats random(std::size_t size, std::size_t seed) {
        std::mt19937 engine(static_cast<unsigned>(seed));
        std::normal_distribution<float> distribution;
        Floats values(size);
        for (float& value : values) value = distribution(engine);
        return values;
    }
    /// What rank r adds in a call.
    static Floats term(std::size_t size, std::size_t call, int r) {
        return random(size, 1000 * call + static_cast<std::size_t>(r) + 1);
    }
    Floats sum_in_order(std::size_t size, std::size_t call) const {
        Floats sum = term(size, call, 0);
        for (int r = 1; r < world.size(); ++r) {
            auto const next = term(size, call, r);
            for (std::size_t i = 0; i < size; ++i) sum[i] += next[i];
        }
        return sum;
    }

    TensorView make(std::size_t rows, std::size_t cols, DType dtype = DType::f32) {
        return memory_.emplace_back(make_tensor(*backend, dtype, rows, cols)).view;
    }
    TensorView put(Floats const& values, std::size_t rows) {
        auto const view = make(rows, values.size() / rows);
        backend->copy_from_host(std::as_bytes(std::span(values)), view.data);
        return view;
    }
    std::vector<std::byte> bytes(TensorView const& view) {
        std::vector<std::byte> host(view.bytes());
        backend->copy_to_host(view.data, host);
        return host;
    }

    /// Ranks come at different times.
    void dawdle() { std::this_thread::sleep_for(std::chrono::microseconds(own_engine_() % 2000)); }

    std::unique_ptr<kernels::Backend> backend = make_backend();
    parallel::PeerSums peers{world, *backend, {.sharers = 1, .seconds = 60.0}};

  private:
    std::vector<kernels::Tensor> memory_;
    std::mt19937 own_engine_{static_cast<unsigned>(world.rank())};
};

TEST_F(PeerSumsTest, GivesTheSumInRankOrderWithItsNorm) {
    struct Shape {
        std::size_t rows, cols;
    };
    // Rows that are not aligned, held in registers and longer than these.
    std::size_t call = 0;
    for (auto const [rows, cols] : {Shape{1, 8}, Shape{7, 33}, Shape{3, 1040}, Shape{1, 16384}}) {
        SCOPED_TRACE(cols);
        std::size_t const size = rows * cols;
        for (DType const dtype : {DType::f32, DType::bf16}) {
            auto const weight = put(random(cols, 7), 1);
            auto const residual = put(random(size, 3), rows), wanted = put(random(size, 3), rows);
            auto const y = make(rows, cols, dtype), wanted_y = make(rows, cols, dtype);
            auto const partial = put(term(size, ++call, world.rank()), rows);
            auto const sum = put(sum_in_order(size, call), rows);
            peers.add_rms_norm(residual, partial, weight, eps, y);
            backend->add_rms_norm(wanted, sum, weight, eps, wanted_y);
            EXPECT_EQ(bytes(residual), bytes(wanted));
            EXPECT_EQ(bytes(y), bytes(wanted_y));
        }
    }
}

TEST_F(PeerSumsTest, CallsOfAnyLengthFollowEachOther) {
    std::size_t const most_rows = 6, cols = 36;
    std::mt19937 lengths(5);  // the same on all ranks
    auto const weight = put(random(cols, 7), 1);
    auto const residual = put(random(most_rows * cols, 3), most_rows);
    auto const wanted = put(random(most_rows * cols, 3), most_rows);
    auto const y = make(most_rows, cols);
    for (std::size_t call = 1; call <= 150; ++call) {
        std::size_t const rows = 1 + lengths() % most_rows, size = rows * cols;
        auto const first = [&](TensorView const& view) { return view.rows_from(0, rows); };
        peers.add_rms_norm(first(residual), put(term(size, call, world.rank()), rows), weight, eps,
                           first(y));
        backend->add(first(wanted), put(sum_in_order(size, call), rows));
        if (call % 9 > 0) continue;
        dawdle();
        backend->synchronize();
    }
    EXPECT_EQ(bytes(residual), bytes(wanted));
}

/// Two sums in a recording that is replayed again and again: what a rank adds grows from one to
/// the next.
TEST_F(PeerSumsTest, RecordingsAreReplayed) {
    std::size_t const rows = 3, cols = 32, replays = world.size() > 4 ? 200 : 400;
    auto const ones = Floats(rows * cols, 1.0F);
    auto const weight = put(random(cols, 7), 1), step = put(ones, rows), y = make(rows, cols);
    auto const residual = put(Floats(rows * cols), rows);
    auto const partial = put(Floats(rows * cols, static_cast<float>(world.rank())), rows);
    backend->synchronize();
    auto const recording = backend->resident_decode()->record([&] {
        peers.add_rms_norm(residual, partial, weight, eps, y);
        backend->add(partial, step);
        peers.add_rms_norm(residual.rows_from(0, 2), partial.rows_from(0, 2), weight, eps,
                           y.rows_from(0, 2));
    });
    for (std::size_t replay = 0; replay < replays; ++replay) {
        recording->replay();
        if (replay % 40 > 0) continue;
        dawdle();
        backend->synchronize();
    }
    double const ranks = world.size(), n = static_cast<double>(replays),
                 of_ranks = ranks * (ranks - 1) / 2;
    // Of all ranks and replays: rank + replay, and one more in the second sum.
    double const sum = n * of_ranks + ranks * n * (n - 1) / 2;
    Floats found(rows * cols);
    backend->copy_to_host(residual.data, std::as_writable_bytes(std::span(found)));
    for (std::size_t i = 0; i < found.size(); ++i) {
        ASSERT_EQ(found[i], static_cast<float>(i < 2 * cols ? 2 * sum + ranks * n : sum)) << i;
    }
}

TEST_F(PeerSumsTest, TakesWhatIsShortAndNotesItAsAnAllReduce) {
    auto const y = make(4, 16);
    EXPECT_TRUE(peers.takes(make(64, 8)));
    EXPECT_FALSE(peers.takes(make(65, 8))) << "too many rows";
    EXPECT_TRUE(peers.takes(make(4, 16384)));
    EXPECT_FALSE(peers.takes(make(5, 16384))) << "more than 256 KiB";
    EXPECT_FALSE(peers.takes(make(1, 16385))) << "too long";
    EXPECT_FALSE(peers.takes(make(4, 8, DType::bf16)));
    auto const before = world.ring()->snapshot().calls;
    peers.add_rms_norm(make(4, 16), make(4, 16), put(random(16, 1), 1), eps, y);
    auto const snapshot = world.ring()->snapshot();
    EXPECT_EQ(snapshot.calls, before + 1);
    EXPECT_EQ(parallel::describe(snapshot.find(snapshot.calls)->call),
              "all-reduce of 256 bytes f32");
    backend->synchronize();
}

TEST_F(PeerSumsTest, WhatTakesLongIsNoFailure) {
    EXPECT_NO_THROW(peers.check(1e6)) << "no kernel waits for a rank";
}

TEST_F(PeerSumsTest, ARankThatStopsEndsTheOthers) {
    if (world.size() == 1) return;
    parallel::PeerSums impatient(world, *backend, {.seconds = 1.0});
    backend->set_watch([&](double seconds) { impatient.check(seconds); });
    auto const residual = make(2, 16), partial = make(2, 16), y = make(2, 16);
    auto const weight = put(random(16, 1), 1);
    backend->synchronize();
    bool const stops = world.rank() + 1 == world.size();
    std::string text = "no error";
    auto const start = std::chrono::steady_clock::now();
    if (!stops) {
        impatient.add_rms_norm(residual, partial, weight, eps, y);
        try {
            backend->synchronize();
        } catch (kernels::SystemError const& error) {
            text = error.what();
        }
    }
    std::string const missing =
        "no end after 1 s: rank " + std::to_string(world.size() - 1) + " does not come";
    EXPECT_THAT(text, ::testing::HasSubstr(stops ? "no error" : missing));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
    world.barrier();
}

}  // namespace
}  // namespace tesserank::test
