#include "model/calibration/probe.hpp"
#include "parallel/partition.hpp"

#include <algorithm>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace tesserank::model::calibration {
namespace {

using kernels::DType;
using parallel::Collective;

/// The work between collectives: about as long as a module's in decode, some tenths of a
/// millisecond.
constexpr std::size_t work_size = 1024;

/// Of work and collective in one sample: few, as a sample is spoilt when any rank has to leave its
/// core to another program.
constexpr std::size_t most_turns = 2;
constexpr std::size_t bare_turns = 8;
constexpr int bare_samples = 3;

/// A collective that takes longer than this many limits is left to extrapolation.
constexpr double most_limits = 10;

/// Messages of this size and more take a time in proportion to their bytes.
constexpr std::size_t bound_by_bandwidth = std::size_t{1} << 16;

std::span<std::byte> bytes_of(kernels::TensorView const& tensor) {
    return {tensor.data, tensor.bytes()};
}

/// Runs one collective on an activation of a number of f32 elements, cut evenly. The root changes
/// from turn to turn, so that no rank can run ahead of the others.
class Message {
  public:
    Message(Bench& bench, std::size_t elements)
        : ranks_{bench.ranks()},
          cut_{elements, ranks_.size()},
          data_{bytes_of(bench.warm(2, DType::f32, 1, elements))},
          mine_{bytes_of(bench.warm(3, DType::f32, 1, cut_.count(ranks_.rank())))},
          counts_{cut_.counts()},
          bytes_{cut_.counts(sizeof(float))} {}

    void send(Collective kind, std::size_t turn) {
        auto const size = static_cast<std::size_t>(ranks_.size());
        auto const root = static_cast<int>(turn % size), next = static_cast<int>((turn + 1) % size);
        switch (kind) {
            case Collective::none:
                return;
            case Collective::all_reduce:
                return ranks_.all_reduce(data_, DType::f32);
            case Collective::reduce_scatter:
                return ranks_.reduce_scatter(data_, DType::f32, counts_, mine_);
            case Collective::reduce:
                return ranks_.reduce(data_, DType::f32, root);
            case Collective::all_gather:
                return ranks_.all_gather(mine_, bytes_, data_);
            case Collective::gather:
                return ranks_.gather(mine_, bytes_, data_, root);
            case Collective::broadcast:
                return ranks_.broadcast(data_, root);
            case Collective::scatter:
                return ranks_.scatter(data_, bytes_, mine_, root);
            case Collective::transfer:
                return ranks_.transfer(data_, root, next);
        }
    }

  private:
    parallel::Communicator& ranks_;
    parallel::Partition cut_;
    std::span<std::byte> data_, mine_;
    std::vector<std::size_t> counts_, bytes_;
};

class MessageProbe final : public Probe {
  public:
    MessageProbe(std::size_t bytes, MessageProbe const* smaller)
        : elements_{std::max<std::size_t>(1, bytes / sizeof(float))}, smaller_{smaller} {}

    void measure(Bench& bench, double limit_seconds) override {
        Message message(bench, elements_);
        if (turns_ == 0) choose_turns(bench, message, limit_seconds);
        without_.push_back(time(bench, message, Collective::none));
        for (auto& [kind, collective] : collectives_) {
            collective.with.push_back(time(bench, message, kind));
        }
    }

    /// A difference of two times may come out too small, even negative; what the collective takes
    /// at best without any work is the least that it can cost.
    void add_to(MachinePoints& points) const override {
        for (auto const& [kind, collective] : collectives_) {
            double const added = undisturbed(collective.with) - undisturbed(without_);
            double const seconds = std::max(added, collective.bare);
            points.collectives.push_back({{{kind, bytes()}, Busy::all}, seconds});
        }
    }

  private:
    struct Measurements {
        double bare = 0;           ///< seconds of one, the fastest sample
        std::vector<double> with;  ///< seconds of work and one
    };

    std::size_t bytes() const { return elements_ * sizeof(float); }

    /// Seconds of one turn.
    double time(Bench& bench, Message& message, Collective kind) const {
        auto const seconds = bench.seconds_of(Busy::all, [&] {
            for (std::size_t turn = 0; turn < turns_; ++turn) {
                work(bench);
                message.send(kind, turn);
            }
        });
        return seconds / static_cast<double>(turns_);
    }

    static void work(Bench& bench) {
        std::size_t const rows =
            std::min(work_size, bench.cold_bytes() / (work_size * sizeof(float)));
        bench.backend().gemm(bench.warm(0, DType::f32, 1, work_size),
                             bench.cold(DType::f32, rows, work_size), {},
                             bench.warm(1, DType::f32, 1, rows));
        bench.backend().synchronize();
    }

    static double bare_seconds(Bench& bench, Message& message, Collective kind, std::size_t turns) {
        auto const seconds = bench.seconds_of(Busy::all, [&] {
            for (std::size_t turn = 0; turn < turns; ++turn) message.send(kind, turn);
        });
        return seconds / static_cast<double>(turns);
    }

    void choose_turns(Bench& bench, Message& message, double limit_seconds) {
        double longest = 0;
        for (auto const kind : parallel::all_collectives) {
            if (expected_seconds(kind) > most_limits * limit_seconds) continue;
            bare_seconds(bench, message, kind, 1);  // ranks may have to connect first
            double bare = bare_seconds(bench, message, kind, 1);
            for (int i = 0; i < bare_samples && bare * bare_turns < limit_seconds; ++i) {
                bare = std::min(bare, bare_seconds(bench, message, kind, bare_turns));
            }
            collectives_[kind].bare = bare;
            longest = std::max(longest, bare);
        }
        turns_ = 1;
        double const turn = longest + time(bench, message, Collective::none);
        turns_ =
            std::clamp<std::size_t>(static_cast<std::size_t>(limit_seconds / turn), 1, most_turns);
    }

    /// From the largest message that was measured; 0 when it is too short to tell.
    double expected_seconds(Collective kind) const {
        for (auto const* probe = smaller_; probe != nullptr; probe = probe->smaller_) {
            if (probe->bytes() < bound_by_bandwidth) return 0;
            auto const found = probe->collectives_.find(kind);
            if (found == probe->collectives_.end()) continue;
            return found->second.bare * static_cast<double>(bytes()) /
                   static_cast<double>(probe->bytes());
        }
        return 0;
    }

    std::size_t elements_;
    MessageProbe const* smaller_;
    std::size_t turns_ = 0;
    std::vector<double> without_;  ///< seconds of the work alone
    std::map<Collective, Measurements> collectives_;
};

}  // namespace

std::vector<std::unique_ptr<Probe>> make_message_probes(std::vector<std::size_t> bytes) {
    std::ranges::sort(bytes);
    std::vector<std::unique_ptr<Probe>> probes;
    MessageProbe const* smaller = nullptr;
    for (auto const size : bytes) {
        auto probe = std::make_unique<MessageProbe>(size, smaller);
        smaller = probe.get();
        probes.push_back(std::move(probe));
    }
    return probes;
}

}  // namespace tesserank::model::calibration
