#include "model/calibrate.hpp"

#include "model/calibration/probe.hpp"
#include "model/calibration_shapes.hpp"
#include "parallel/self_communicator.hpp"
#include "tests/model/support_model.hpp"
#include "tests/support/mpi_test.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

namespace tesserank::model {
namespace {

using kernels::DType;
using parallel::Collective;
using Phase = Step::Phase;

/// Late for every all-reduce on one rank.
class LateCommunicator final : public parallel::Communicator {
  public:
    LateCommunicator(parallel::Communicator& ranks, int late_rank)
        : ranks_{ranks}, late_rank_{late_rank} {}
    int rank() const override { return ranks_.rank(); }
    int size() const override { return ranks_.size(); }
    void do_all_reduce(std::span<std::byte> data, DType dtype) override {
        if (rank() == late_rank_) std::this_thread::sleep_for(delay);
        ranks_.all_reduce(data, dtype);
    }
    void do_reduce_scatter(std::span<std::byte> data, DType dtype,
                           std::span<std::size_t const> counts,
                           std::span<std::byte> mine) override {
        ranks_.reduce_scatter(data, dtype, counts, mine);
    }
    void do_all_gather(std::span<std::byte const> mine, std::span<std::size_t const> bytes,
                       std::span<std::byte> all) override {
        ranks_.all_gather(mine, bytes, all);
    }
    void do_reduce(std::span<std::byte> data, DType dtype, int root) override {
        ranks_.reduce(data, dtype, root);
    }
    void do_gather(std::span<std::byte const> mine, std::span<std::size_t const> bytes,
                   std::span<std::byte> all, int root) override {
        ranks_.gather(mine, bytes, all, root);
    }
    void do_scatter(std::span<std::byte const> all, std::span<std::size_t const> bytes,
                    std::span<std::byte> mine, int root) override {
        ranks_.scatter(all, bytes, mine, root);
    }
    void do_transfer(std::span<std::byte> data, int from, int to) override {
        ranks_.transfer(data, from, to);
    }
    void do_broadcast(std::span<std::byte> data, int root) override {
        ranks_.broadcast(data, root);
    }
    void do_all_to_all(std::span<std::byte const> send, std::span<std::size_t const> send_bytes,
                       std::span<std::byte> received,
                       std::span<std::size_t const> received_bytes) override {
        ranks_.all_to_all(send, send_bytes, received, received_bytes);
    }

    static constexpr auto delay = std::chrono::milliseconds(20);

  private:
    parallel::Communicator& ranks_;
    int late_rank_;
};

CalibrationRequest small_request() {
    CalibrationRequest request;
    request.seconds = 0.5;
    request.cold_bytes = std::size_t{1} << 20;
    for (auto const busy : {Busy::all, Busy::one}) {
        for (auto const weight : {DType::f32, DType::bf16, DType::f16}) {
            request.gemms.push_back({{weight, DType::f32, 3, 40, 64}, busy});
            request.gemms.push_back({{weight, DType::bf16, 20, 40, 64}, busy});
        }
        for (auto const phase : {Phase::prefill, Phase::decode}) {
            request.attentions.push_back({{phase, DType::f32, 7, 5, 3, 2, 8}, busy});
            request.attentions.push_back({{phase, DType::bf16, 4, 100, 3, 2, 8}, busy});
        }
        request.passes.push_back({{30000}, busy});
    }
    request.message_bytes = {4, 4096};
    return request;
}

std::vector<double> seconds_of(MachinePoints const& points) {
    std::vector<double> seconds;
    for (auto const& point : points.gemms) seconds.push_back(point.seconds);
    for (auto const& point : points.attentions) seconds.push_back(point.seconds);
    for (auto const& point : points.passes) seconds.push_back(point.seconds);
    for (auto const& point : points.collectives) seconds.push_back(point.seconds);
    return seconds;
}

class CalibrateTest : public test::MpiTest {
  protected:
    std::unique_ptr<kernels::Backend> backend = kernels::make_kokkos_backend();
};

TEST_F(CalibrateTest, GivesEveryRankTheSameMachine) {
    auto const machine = calibrate(*backend, world, small_request());
    EXPECT_EQ(machine.ranks(), world.size());
    auto const seconds = seconds_of(machine.points());
    auto const sizes = world.all_min(static_cast<long long>(seconds.size()));
    EXPECT_EQ(static_cast<long long>(seconds.size()), sizes);
    EXPECT_TRUE(same_on_all_ranks(std::as_bytes(std::span(seconds))));
    for (double const figure : seconds) EXPECT_GT(figure, 0);
}

TEST_F(CalibrateTest, MeasuresWhatWasAskedFor) {
    auto request = small_request();
    request.seconds = 10;  // more than all rounds take
    auto const points = calibrate(*backend, world, request).points();
    EXPECT_EQ(points.gemms.size(), request.gemms.size());
    for (auto const& task : request.gemms) {
        EXPECT_EQ(std::ranges::count(points.gemms, task, &Measured<GemmWork>::task), 1);
    }
    EXPECT_EQ(points.attentions.size(), request.attentions.size());
    for (auto const& task : request.attentions) {
        EXPECT_EQ(std::ranges::count(points.attentions, task, &Measured<AttentionWork>::task), 1);
    }
    EXPECT_EQ(points.passes.size(), request.passes.size());
    std::size_t const kinds = world.size() == 1 ? 0 : parallel::all_collectives.size();
    EXPECT_EQ(points.collectives.size(), kinds * request.message_bytes.size());
}

/// A grid for which the time is much too short still gives a machine, soon.
TEST_F(CalibrateTest, KeepsItsTime) {
    auto request = general_calibration(0.3);
    request.cold_bytes = std::size_t{1} << 22;
    auto const start = std::chrono::steady_clock::now();
    auto const machine = calibrate(*backend, world, request);
    std::chrono::duration<double> const taken = std::chrono::steady_clock::now() - start;
    EXPECT_LT(taken.count(), 30);
    EXPECT_FALSE(machine.points().gemms.empty());
}

TEST_F(CalibrateTest, MeasuresFewerRowsOrLessOfAMatrixWhereItHasTo) {
    auto request = small_request();
    request.seconds = 2;
    request.gemms = {{{DType::f32, DType::f32, 100000, 600, 700}, Busy::all}};
    request.attentions = {{{Phase::prefill, DType::f32, 4, 1 << 20, 3, 2, 8}, Busy::all}};
    auto const points = calibrate(*backend, world, request).points();
    ASSERT_EQ(points.gemms.size(), 1U);
    EXPECT_LT(points.gemms[0].task.work.rows, 100000U);
    EXPECT_EQ(points.gemms[0].task.work.outputs, 600U);
    ASSERT_EQ(points.attentions.size(), 1U);
    EXPECT_LT(points.attentions[0].task.work.context, std::size_t{1} << 20);
}

/// 20 ms dwarf what else happens on a busy machine.
TEST_F(CalibrateTest, ChargesTheSlowestRanksTime) {
    LateCommunicator late(world, world.size() - 1);
    auto const machine = calibrate(*backend, late, small_request());
    double const delay = std::chrono::duration<double>(LateCommunicator::delay).count();
    if (world.size() == 1) return;
    EXPECT_GE(machine.collective_seconds(Collective::all_reduce, 4), delay);
    EXPECT_LT(machine.collective_seconds(Collective::broadcast, 4), delay);
}

TEST_F(CalibrateTest, SaysHowFarItIs) {
    double last = 0;
    calibrate(*backend, world, small_request(), [&](double share) {
        EXPECT_GE(share, last);
        EXPECT_LE(share, 1);
        last = share;
    });
    EXPECT_GT(last, 0);
}

TEST_F(CalibrateTest, MeasuresAModelsShapesOnAnyNumberOfRanks) {
    auto const config = test::tiny_decoder();
    DTypeOf const dtype_of = [](std::string_view) { return DType::f32; };
    auto const request =
        quick_calibration({.config = config,
                           .options = {.compute = DType::f32, .max_rows = 64, .max_logit_rows = 64},
                           .workload = {.batch = 3, .prompt = 10, .new_tokens = 4, .candidates = 0},
                           .dtype_of = dtype_of,
                           .ranks = world.size()},
                          0.3);
    auto const machine = calibrate(*backend, world, request);
    EXPECT_GT(machine.gemm_seconds({DType::f32, DType::f32, 3, 72, 20}, Busy::all), 0);
}

TEST(CalibrateAlone, NeedsNoMpi) {
    auto const backend = kernels::make_reference_backend();
    parallel::SelfCommunicator alone;
    auto const machine = calibrate(*backend, alone, small_request());
    EXPECT_EQ(machine.ranks(), 1);
    EXPECT_TRUE(machine.points().collectives.empty());
}

TEST(Undisturbed, IsTheFirstQuartile) {
    EXPECT_EQ(calibration::undisturbed({7}), 7);
    EXPECT_EQ(calibration::undisturbed({9, 1}), 1);
    EXPECT_EQ(calibration::undisturbed({5, 4, 3, 2, 1}), 2);
}

}  // namespace
}  // namespace tesserank::model
