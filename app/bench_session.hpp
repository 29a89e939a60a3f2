#pragma once

#include "app/bench_options.hpp"
#include "app/bench_report.hpp"
#include "app/plan_options.hpp"
#include "app/progress.hpp"
#include "app/random_tiles.hpp"
#include "app/rank_device.hpp"
#include "model/request.hpp"
#include "model/transformer.hpp"
#include "model/weight_source.hpp"
#include "parallel/mpi_communicator.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tesserank::app {

/// One model under several plans, all of them in memory, so that they can be measured in turn: what
/// changes on the machine meanwhile meets all alike.
class BenchSession {
  public:
    /// Opens the model, makes the plans and loads each. Collective.
    /// Errors: the same on every rank: InputError for a wrong model or plan, or when all plans
    /// together exceed a rank's share of the free memory; UsageError when the context has no room
    /// for prompt and new tokens.
    BenchSession(BenchOptions const& options, parallel::MpiCommunicator& ranks, Progress& progress);
    ~BenchSession();

    /// Runs every plan with every batch. The plans take turns, and another one is first in each
    /// round. Collective.
    BenchReport measure();

  private:
    /// A plan, and what it says of each batch and each number of tiles.
    struct Candidate {
        std::vector<model::PlanFacts> facts;
        std::unique_ptr<model::Transformer> transformer;
        PlanTimes times;

        std::size_t bytes_on(std::size_t rank) const;
    };

    void open_model();
    void check_workloads() const;
    model::PlacementPlan agree_on_plan(std::string const& wish);
    Candidate plan(std::string const& wish);
    void check_memory();
    void load(Candidate& candidate);
    void measure_round(std::size_t batch, std::size_t round);
    void run(Candidate& candidate, std::size_t batch, bool counts);
    void measure_encoding_round(std::size_t index, std::size_t round);
    void encode(Candidate& candidate, std::size_t index, bool counts);
    /// The plan whose turn is the i-th of a round.
    Candidate& in_turn(std::size_t i, std::size_t round) {
        return candidates_[(i + round) % candidates_.size()];
    }
    /// The slowest rank's.
    double slowest(double seconds);
    std::vector<model::GenerateRequest> requests_of(std::size_t batch) const;

    BenchOptions const& options_;
    parallel::MpiCommunicator& ranks_;
    Progress& progress_;
    RankDevice device_;
    PlannedModel model_;
    std::string weights_;
    std::unique_ptr<model::WeightSource> source_;
    model::TransformerOptions bounds_;
    std::vector<Candidate> candidates_;
    std::optional<RandomTiles> tiles_;  ///< on rank 0
};

}  // namespace tesserank::app
