#pragma once

#include "app/run_options.hpp"
#include "io/journal/journal.hpp"
#include "io/requests/result_writer.hpp"
#include "model/batch_limits.hpp"

#include <cstddef>
#include <optional>
#include <string>

namespace tesserank::app {

/// A run's results on rank 0, with the journal by which a later run goes on where a killed one has
/// stopped. There is none for what cannot be read or written again: pipes, devices, and HDF5 files
/// of logits, which a killed run leaves broken.
class RunRecord {
  public:
    /// Whether such a run has a journal, so that a later one can go on when it stops.
    static bool can_go_on(RunOptions const& options);

    /// Opens the output; with --resume auto behind what an earlier run has left there. Errors:
    /// InputError when the output cannot be made, or with --resume must when nothing is there.
    RunRecord(RunOptions const& options, io::Task task, io::Tokenizer const* tokenizer);
    /// Leaves no journal where there are no results to go on behind.
    ~RunRecord();
    RunRecord(RunRecord const&) = delete;
    RunRecord& operator=(RunRecord const&) = delete;

    /// Whether an earlier run has done everything but give the output its name.
    bool is_complete() const { return earlier_ && earlier_->progress.complete; }
    /// Those of the run that goes on: its batches are cut alike.
    std::optional<model::BatchLimits> limits_before() const;

    /// Whether a run that stops now can be continued by a later one.
    bool goes_on() const { return !journal_path_.empty(); }

    /// Where is_complete(). Errors: InputError when the earlier run was another one.
    void check_complete(io::RunIdentity identity) const;

    /// Before the first batch; the input's content joins the identity. Errors: InputError naming
    /// what is not as in the run that goes on, where results would differ. Gives a remark where
    /// last bits may differ, or else nothing.
    std::string start(io::RunIdentity identity);

    io::ResultWriter& writer() { return *writer_; }
    /// Where the run is: what an earlier one has done included.
    io::RunProgress const& progress() const { return progress_; }
    /// All results so far become durable; they are about the input's first `lines` lines.
    void batch_done(std::size_t lines);
    /// The output gets its name, and the journal goes.
    void commit();

  private:
    void check_nothing_is_lost(std::string const& output) const;
    void check_same(io::RunIdentity const& identity) const;
    void open(RunOptions const& options, io::Task task, io::Tokenizer const* tokenizer);

    std::string journal_path_;  ///< no journal: empty
    std::string input_hash_;
    std::optional<io::JournalContent> earlier_;
    std::optional<io::Journal> journal_;
    std::optional<io::ResultWriter> writer_;  ///< none when the output has its name already
    io::RunProgress progress_;
};

}  // namespace tesserank::app
