#include "io/model_file/cooperative_load.hpp"

#include "io/model_file/format.hpp"
#include "io/model_file/placing.hpp"
#include "io/model_file/region.hpp"
#include "io/model_file/stopwatch.hpp"
#include "kernels/error.hpp"
#include "parallel/agree.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace tesserank::io {
namespace {

std::size_t sum(std::span<std::size_t const> sizes) {
    return std::accumulate(sizes.begin(), sizes.end(), std::size_t{0});
}

std::size_t index(int rank) { return static_cast<std::size_t>(rank); }

/// Puts bytes one behind the other.
class Cursor {
  public:
    explicit Cursor(std::span<std::byte> memory) : left_{memory} {}
    void append(std::span<std::byte const> bytes) {
        std::ranges::copy(bytes, left_.begin());
        left_ = left_.subspan(bytes.size());
    }

  private:
    std::span<std::byte> left_;
};

}  // namespace

std::size_t CooperativeLoad::Hop::sent() const { return sum(send); }
std::size_t CooperativeLoad::Hop::received() const { return sum(receive); }

std::size_t CooperativeLoad::Step::exchanged() const {
    return first.sent() + second.sent() + to_all + received();
}

CooperativeLoad::CooperativeLoad(LoadRounds rounds, CooperativeTools const& tools,
                                 LoadReport& report)
    : rounds_(std::move(rounds)),
      tools_{tools},
      report_{report},
      before_{report},
      rank_{tools.ranks.rank()},
      reader_{tools.file, tools.reading_threads} {
    while (!rounds_.done()) steps_.push_back(step_of(rounds_.next()));
}

std::span<Block const> CooperativeLoad::blocks_of(Step const& step, int rank) const {
    auto const range = step.round[index(rank)];
    return rounds_.blocks().subspan(range.begin, range.count);
}

CooperativeLoad::Step CooperativeLoad::step_of(Round round) const {
    std::vector<std::size_t> const none(round.size());
    Step step{.round = std::move(round), .first = {none, none}, .second = {none, none}};
    for (int reader = 0; reader < tools_.ranks.size(); ++reader) {
        for (auto const& block : blocks_of(step, reader)) {
            if (!rounds_.goes_to_all(block)) {
                add_to_hops(step, block, reader);
            } else {
                (reader == rank_ ? step.to_all : step.from_all) += block.bytes();
            }
        }
    }
    step.read = bytes_of(blocks_of(step, rank_));
    return step;
}

void CooperativeLoad::add_to_hops(Step& step, Block const& block, int reader) const {
    for (int receiver = 0; receiver < tools_.ranks.size(); ++receiver) {
        if (receiver == reader) continue;
        auto const sender = rounds_.sender_of(block, reader, receiver);
        if (sender != rank_ && receiver != rank_) continue;
        auto const bytes = rounds_.bytes_for(block, receiver);
        auto& hop = sender == reader ? step.first : step.second;
        if (sender == rank_) hop.send[index(receiver)] += bytes;
        if (receiver == rank_) hop.receive[index(sender)] += bytes;
    }
}

std::vector<Block> CooperativeLoad::run(Stop const& stop) {
    parallel::agree(tools_.ranks, [this] { prepare(); });
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        bool const stopped =
            stop && i == measured_rounds && i + 1 < steps_.size() && stop(measure(i));
        run_step(i, stopped || i + 1 == steps_.size());
        if (stopped) return blocks_after(i);
    }
    return {};
}

void CooperativeLoad::prepare() {
    std::array<std::size_t, 2> read{};
    std::size_t sent = 0;
    std::size_t received = 0;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        auto const& step = steps_[i];
        read[i % 2] = std::max(read[i % 2], step.read);
        sent = std::max({sent, step.first.sent(), step.second.sent()});
        received = std::max(received, step.received());
    }
    auto const held = read[0] + read[1] + sent + received;
    auto const most_of_one_block = most_block_bytes * index(tools_.ranks.size());
    kernels::require(held <= 4 * std::max(tools_.staging_bytes, most_of_one_block),
                     "loading takes more memory than it may");
    read_ = {StagingBuffer(tools_.backend, read[0]), StagingBuffer(tools_.backend, read[1])};
    sent_ = StagingBuffer(tools_.backend, sent);
    received_ = StagingBuffer(tools_.backend, received);
    report_.most_held_bytes = std::max(report_.most_held_bytes, held);
    if (!steps_.empty()) start_reading(0);
}

void CooperativeLoad::start_reading(std::size_t step) {
    reader_.start(blocks_of(steps_[step], rank_), read_[step % 2].first(steps_[step].read));
}

void CooperativeLoad::run_step(std::size_t number, bool last) {
    auto const& step = steps_[number];
    parallel::agree(tools_.ranks, [&] {
        report_.read_seconds += reader_.finish();
        report_.bytes_read += step.read;
        read_now_ = read_[number % 2].first(step.read);
        if (!last) start_reading(number + 1);
        report_.place_seconds += seconds_of([&] { pack(step); });
    });
    report_.exchange_seconds += seconds_of([&] { exchange(step); });
    report_.bytes_sent +=
        step.first.sent() + step.second.sent() + step.to_all * (index(tools_.ranks.size()) - 1);
    parallel::agree(tools_.ranks,
                    [&] { report_.place_seconds += seconds_of([&] { unpack(step); }); });
}

/// Lays out what the others need of the blocks that were read; what this rank needs itself goes
/// straight to its place.
void CooperativeLoad::pack(Step const& step) {
    Cursor sent(sent_.first(step.first.sent()));
    for (int rank = 0; rank < tools_.ranks.size(); ++rank) {
        std::span<std::byte const> left = read_now_;
        for (auto const& block : blocks_of(step, rank_)) {
            auto const bytes = left.first(block.bytes());
            left = left.subspan(block.bytes());
            auto const& wishes = rounds_.wishes_for(block);
            if (rank == rank_) place_block(tools_.backend, block, bytes, wishes, rank);
            if (rank == rank_ || rounds_.goes_to_all(block) ||
                rounds_.sender_of(block, rank_, rank) != rank_) {
                continue;
            }
            auto const run = run_of(block);
            auto const size = kernels::size_of(block.tensor->dtype);
            for (auto const* const request : wishes) {
                visit_runs(
                    request->regions[index(rank)], block.tensor->cols(), run, [&](ElementRun part) {
                        sent.append(
                            bytes.subspan((part.first - run.first) * size, part.count * size));
                    });
            }
        }
    }
}

void CooperativeLoad::exchange(Step const& step) {
    tools_.ranks.all_to_all(sent_.first(step.first.sent()), step.first.send,
                            received_.first(step.first.received()), step.first.receive);
    broadcast(step);
    if (rounds_.several_nodes()) pass_on(step);
}

/// Each reader's blocks that all ranks want whole, one after the other.
void CooperativeLoad::broadcast(Step const& step) {
    auto received = received_.first(step.received()).last(step.from_all);
    for (int reader = 0; reader < tools_.ranks.size(); ++reader) {
        auto own = read_now_;
        auto& left = reader == rank_ ? own : received;
        for (auto const& block : blocks_of(step, reader)) {
            bool const to_all = rounds_.goes_to_all(block);
            if (to_all) tools_.ranks.broadcast(left.first(block.bytes()), reader);
            // Of its own blocks a reader holds the others too.
            if (to_all || reader == rank_) left = left.subspan(block.bytes());
        }
    }
}

/// Hands pieces that came from another node to the ranks of this node that want the same.
void CooperativeLoad::pass_on(Step const& step) {
    Cursor sent(sent_.first(step.second.sent()));
    auto const came = received_.first(step.first.received());
    for (int receiver = 0; receiver < tools_.ranks.size(); ++receiver) {
        std::span<std::byte const> left = came;
        for (int reader = 0; reader < tools_.ranks.size(); ++reader) {
            if (reader == rank_) continue;
            for (auto const& block : blocks_of(step, reader)) {
                if (rounds_.sender_of(block, reader, rank_) != reader) continue;
                auto const piece = left.first(rounds_.bytes_for(block, rank_));
                left = left.subspan(piece.size());
                bool const wanted = receiver != rank_ && receiver != reader &&
                                    rounds_.sender_of(block, reader, receiver) == rank_;
                if (wanted) sent.append(piece);
            }
        }
    }
    tools_.ranks.all_to_all(sent_.first(step.second.sent()), step.second.send,
                            received_.first(step.first.received() + step.second.received())
                                .last(step.second.received()),
                            step.second.receive);
}

/// Walks through what the others have sent to this rank: pieces of each hop by sender, then whole
/// blocks, in the order of readers and their blocks.
void CooperativeLoad::unpack(Step const& step) {
    std::span<std::byte const> left = received_.first(step.received());
    auto const visit = [&](int sender, bool first_hop) {
        for (int reader = 0; reader < tools_.ranks.size(); ++reader) {
            if (reader == rank_ || (reader == sender) != first_hop) continue;
            for (auto const& block : blocks_of(step, reader)) {
                if (rounds_.goes_to_all(block)) continue;
                if (rounds_.sender_of(block, reader, rank_) == sender) {
                    left = deliver_piece(block, left);
                }
            }
        }
    };
    for (int sender = 0; sender < tools_.ranks.size(); ++sender) visit(sender, true);
    for (int sender = 0; sender < tools_.ranks.size(); ++sender) visit(sender, false);
    for (int reader = 0; reader < tools_.ranks.size(); ++reader) {
        if (reader == rank_) continue;
        for (auto const& block : blocks_of(step, reader)) {
            if (rounds_.goes_to_all(block)) left = deliver_piece(block, left);
        }
    }
    tools_.backend.synchronize();
}

/// Places this rank's piece of a block, which `bytes` begins with; returns what is behind it. Of a
/// block that goes to all the piece is the block, once for all requests.
std::span<std::byte const> CooperativeLoad::deliver_piece(Block const& block,
                                                          std::span<std::byte const> bytes) {
    auto const& wishes = rounds_.wishes_for(block);
    if (rounds_.goes_to_all(block)) {
        place_block(tools_.backend, block, bytes.first(block.bytes()), wishes, rank_);
        return bytes.subspan(block.bytes());
    }
    auto const width = block.tensor->cols();
    auto const size = kernels::size_of(block.tensor->dtype);
    for (auto const* const request : wishes) {
        auto const& region = request->regions[index(rank_)];
        visit_rectangles(region, width, run_of(block), [&](model::Region const& part) {
            deliver(tools_.backend, bytes.data(), part.cols.count, *request, region, part);
            bytes = bytes.subspan(part.rows.count * part.cols.count * size);
        });
    }
    return bytes;
}

/// After `done` rounds, while the next one is being read.
LoadMeasure CooperativeLoad::measure(std::size_t done) const {
    LoadMeasure measure{.bytes_read = report_.bytes_read - before_.bytes_read,
                        .read_seconds = report_.read_seconds - before_.read_seconds,
                        .exchange_seconds = report_.exchange_seconds - before_.exchange_seconds +
                                            report_.place_seconds - before_.place_seconds};
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        if (i < done) measure.bytes_exchanged += steps_[i].exchanged();
        if (i <= done) continue;
        measure.left_read += steps_[i].read;
        measure.left_exchanged += steps_[i].exchanged();
    }
    for (auto const& block : blocks_after(done)) {
        if (rounds_.bytes_for(block, rank_) > 0) measure.left_direct += block.bytes();
    }
    return measure;
}

/// Those of the rounds behind number `done`, in the order of the file.
std::vector<Block> CooperativeLoad::blocks_after(std::size_t done) const {
    std::vector<Block> blocks;
    for (auto step = steps_.begin() + static_cast<std::ptrdiff_t>(done) + 1; step != steps_.end();
         ++step) {
        for (int rank = 0; rank < tools_.ranks.size(); ++rank) {
            std::ranges::copy(blocks_of(*step, rank), std::back_inserter(blocks));
        }
    }
    std::ranges::sort(blocks, {}, [](Block const& block) { return block.file_offset(); });
    return blocks;
}

}  // namespace tesserank::io
