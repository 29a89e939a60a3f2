#pragma once

#include "app/load_line.hpp"
#include "app/rank_device.hpp"
#include "app/run_options.hpp"
#include "io/journal/journal.hpp"
#include "io/model_file/file_weights.hpp"
#include "io/model_file/model_index.hpp"
#include "io/requests/request_reader.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "model/batch_limits.hpp"
#include "model/plan_facts.hpp"
#include "model/transformer.hpp"
#include "parallel/mpi_communicator.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tesserank::app {

/// What a rank has for keys and values and pictures, and what a token of a sequence takes of it: of
/// any sequence, and besides of one that the rank owns.
struct CacheRoom {
    std::size_t bytes = 0, per_token = 0, per_own_token = 0;
    std::size_t per_row = 0;      ///< of the tables of resident decoding, at most
    std::size_t per_feature = 0;  ///< of per_token: a picture's features and its decoded tiles
    /// What a vision encoder that is not kept takes, beside the pictures, before there are keys and
    /// values.
    std::size_t encoder = 0;
};

/// A model, opened, placed and loaded on all ranks, ready to run batches. What generate and score
/// share.
class ModelSession {
  public:
    /// Opens the file, makes the plan and says what it needs; reads no weights. Collective.
    /// Errors: the same on every rank: InputError for a wrong file, option or plan.
    ModelSession(RunOptions const& options, parallel::MpiCommunicator& ranks);
    ~ModelSession();

    /// Reads the weights, then settles how many sequences fit. Collective.
    /// Errors: InputError, before anything is read, when the weights exceed a rank's share of the
    /// free memory.
    /// `before` are the limits of a run that is to go on: they hold where the command line leaves
    /// them open.
    void load(std::optional<model::BatchLimits> const& before = {});

    /// For requests on rank 0; the limits are valid after load().
    io::RequestLimits request_limits() const;
    io::PromptTools prompt_tools() const;

    model::Transformer& transformer() { return *transformer_; }
    io::Tokenizer const* tokenizer() const {
        return tokenizer_ ? &*tokenizer_ : nullptr;
    }  ///< rank 0 only
    std::vector<std::int32_t> const& eos_ids() const { return eos_ids_; }
    model::BatchLimits limits() const { return limits_; }
    /// What results follow from besides the input.
    io::RunIdentity identity() const;
    /// One line for people: model, parameters, placement, precision.
    std::string summary() const;
    /// One line for people: where the weights are, and what is sent.
    std::string plan_summary() const;
    /// What loading has cost, by rank. Collective.
    LoadSummary load_summary();

  private:
    io::ModelIndex open_index();
    void describe();
    model::TransformerOptions forward_options() const;
    void bound_staging();
    /// What the command line says; no memory is known yet.
    model::BatchLimitInput batch_wishes() const;
    std::vector<CacheRoom> gather_cache_rooms();
    std::string_view vision_words() const;
    /// How many candidates a request without wishes of its own needs; see candidates_for().
    std::size_t usual_candidates() const;
    /// What the plan was made from.
    std::string const& placement_words() const;

    RunOptions const& options_;
    parallel::MpiCommunicator& ranks_;
    double open_seconds_ = 0;  ///< of the index
    io::ModelIndex index_;
    RankDevice device_;
    model::DecoderConfig config_;
    model::DTypeOf dtype_of_;
    std::unique_ptr<io::FileWeights> source_;
    std::unique_ptr<model::Transformer> transformer_;
    std::optional<io::Tokenizer> tokenizer_;
    std::vector<std::int32_t> eos_ids_;
    model::SamplingOptions sampling_;
    std::size_t default_max_new_tokens_ = 0;
    model::BatchLimits limits_;
};

}  // namespace tesserank::app
