#pragma once

#include "io/input_file.hpp"
#include "io/model_file/background_read.hpp"
#include "io/model_file/load_choice.hpp"
#include "io/model_file/load_report.hpp"
#include "io/model_file/load_rounds.hpp"
#include "kernels/backend.hpp"
#include "parallel/mpi_communicator.hpp"

#include <array>
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace tesserank::io {

/// What a cooperative load works with.
struct CooperativeTools {
    InputFile const& file;
    parallel::MpiCommunicator& ranks;
    kernels::Backend& backend;
    std::size_t staging_bytes;  ///< bound of each of four buffers
    int reading_threads;        ///< see BackgroundRead
};

/// One pass of all ranks over the file, in rounds: while the ranks exchange what they have read in
/// one round, a thread of each reads and checks its share of the next.
class CooperativeLoad {
  public:
    CooperativeLoad(LoadRounds rounds, CooperativeTools const& tools, LoadReport& report);

    /// Whether to leave the rest to direct reading, asked once and on every rank. Collective.
    using Stop = std::function<bool(LoadMeasure const&)>;

    /// Returns the blocks that are left when `stop` has said so; with an empty one there are none.
    /// Collective. Errors: InputError naming file, tensor and rows; the same on all ranks.
    std::vector<Block> run(Stop const& stop);

  private:
    /// Bytes by peer of one exchange.
    struct Hop {
        std::vector<std::size_t> send, receive;
        std::size_t sent() const;
        std::size_t received() const;
    };
    /// A round as this rank sees it. What came with the first hop is passed on with the second.
    struct Step {
        Round round;
        Hop first, second;
        std::size_t read = 0;      ///< bytes
        std::size_t to_all = 0;    ///< bytes that it broadcasts
        std::size_t from_all = 0;  ///< bytes that others broadcast
        std::size_t received() const { return first.received() + second.received() + from_all; }
        std::size_t exchanged() const;
    };

    std::span<Block const> blocks_of(Step const& step, int rank) const;
    Step step_of(Round round) const;
    void add_to_hops(Step& step, Block const& block, int reader) const;
    void prepare();
    void start_reading(std::size_t step);
    void run_step(std::size_t step, bool last);
    void pack(Step const& step);
    void exchange(Step const& step);
    void broadcast(Step const& step);
    void pass_on(Step const& step);
    void unpack(Step const& step);
    std::span<std::byte const> deliver_piece(Block const& block, std::span<std::byte const> bytes);
    LoadMeasure measure(std::size_t done) const;
    std::vector<Block> blocks_after(std::size_t done) const;

    LoadRounds rounds_;
    CooperativeTools tools_;
    LoadReport& report_;
    LoadReport const before_;
    int const rank_;
    std::vector<Step> steps_;
    std::array<StagingBuffer, 2> read_;  ///< of even and odd rounds
    StagingBuffer sent_;
    StagingBuffer received_;         ///< first hop, second hop, broadcasts
    std::span<std::byte> read_now_;  ///< what the present round has read
    BackgroundRead reader_;          ///< destroyed first: it may write to a buffer
};

}  // namespace tesserank::io
