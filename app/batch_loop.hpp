#pragma once

#include "app/exit_code.hpp"
#include "app/file_sinks.hpp"
#include "app/model_session.hpp"
#include "app/run_log.hpp"
#include "app/run_options.hpp"
#include "app/run_record.hpp"
#include "app/stop_watcher.hpp"
#include "io/requests/features_file.hpp"
#include "io/requests/line_reader.hpp"
#include "io/requests/logits_file.hpp"
#include "io/requests/request_reader.hpp"
#include "io/requests/result_writer.hpp"
#include "io/tokenizer/text_stream.hpp"
#include "kernels/error.hpp"
#include "kernels/phase.hpp"
#include "model/generate.hpp"
#include "parallel/agree.hpp"
#include "parallel/mpi_session.hpp"

#include <chrono>
#include <functional>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

namespace tesserank::app {

/// Reads requests, runs them in static batches and writes the results in the order of the input;
/// what generate and score have in common. `Work` says which requests are read and what is run:
///
///     using Request, Result;
///     static constexpr io::Task task;
///     // The next requests and errors, none only at the end.
///     static std::vector<io::ReadLine<Request>> next(io::RequestReader&, std::size_t most);
///     static std::vector<Result> run(Transformer&, MpiCommunicator&, std::span<Request const>,
///                                    BatchTools const&);
///     // For the progress report.
///     static std::size_t tokens(Request const&, Result const&);
///
/// Files are rank 0's; every phase with them ends in an agreement, so that a failure there is
/// everyone's.
template <class Work>
class BatchLoop {
  public:
    BatchLoop(RunOptions const& options, parallel::MpiCommunicator& ranks)
        : options_{options},
          ranks_{ranks},
          log_{log_style(options, ranks)},
          watcher_{{.end = end_of_time(options.time_limit), .grace = options.grace},
                   ranks.rank() == 0,
                   [rank = ranks.rank(), goes_on = RunRecord::can_go_on(options)](
                       auto const& reason) { end_now(rank, goes_on, reason); }},
          session_{options, ranks} {
        agree_on_files([this] { open_files(); });
        all_done_ = ranks_.all_sum(record_ && record_->is_complete() ? 1 : 0) > 0;
        if (all_done_) return;
        session_.load(limits_before());
        log_.planned(session_.plan_summary());
        log_.loaded(session_.summary(), session_.load_summary());
        agree_on_files([this] {
            reader_.emplace(std::move(*lines_), session_.request_limits(), session_.prompt_tools());
            start();
        });
        watcher_.loaded();
    }

    /// Runs until the input ends.  Returns the exit status.
    int run() {
        while (!all_done_) {
            agree_on_files([this] { read_batch(); });
            if (input_has_ended()) break;
            if (must_stop()) {
                return stopped_status(ranks_.all_sum(record_ && record_->goes_on() ? 1 : 0) > 0);
            }
            watcher_.batch_begins();
            auto const results = Work::run(session_.transformer(), ranks_, requests_, tools());
            watcher_.batch_ended();
            agree_on_files([&] { write_batch(results); });
        }
        agree_on_files([this] { commit(); });
        long long const errors =
            ranks_.all_sum(record_ ? static_cast<long long>(record_->progress().errors) : 0);
        if (record_) log_.finished(record_->progress().results, record_->progress().errors);
        return errors > 0 ? exit_code::some_requests_failed : exit_code::success;
    }

  private:
    using Request = typename Work::Request;
    using Result = typename Work::Result;
    /// One line of the input: the index of its request in the batch, or why it has none.
    using Entry = std::variant<std::size_t, io::RequestError>;

    static RunLog::Style log_style(RunOptions const& options,
                                   parallel::MpiCommunicator const& ranks) {
        if (options.quiet || ranks.rank() != 0) return RunLog::Style::silent;
        return options.log_json ? RunLog::Style::json : RunLog::Style::people;
    }

    void agree_on_files(std::function<void()> const& work) {
        kernels::Phase const phase("files of rank 0");
        parallel::agree(ranks_, [&] {
            if (ranks_.rank() == 0) work();
        });
    }

    /// From another thread than the one that communicates, which may be stuck.
    static void end_now(int rank, bool goes_on, std::string const& reason) {
        // Most signals reach all ranks: then rank 0 tells of it, and has ended the others by then.
        if (rank != 0) std::this_thread::sleep_for(std::chrono::seconds(4));
        int const status = stopped_status(goes_on);
        parallel::MpiSession::exit_after(std::chrono::seconds(5), status);
        std::cerr << ("tesserank: ended by " + reason + "; " +
                      (goes_on ? "run it again to go on behind the last whole batch"
                               : "this run cannot be continued") +
                      "\n")
                  << std::flush;
        parallel::MpiSession::abort_from_thread(status);
    }

    /// What cannot go on has failed.
    static int stopped_status(bool goes_on) {
        return goes_on ? exit_code::stopped : exit_code::failure;
    }

    /// A wait for more that a signal has ended says nothing of it.
    bool input_has_ended() {
        bool const waits = reader_ && reader_->is_stopped();
        return ranks_.all_sum(static_cast<long long>(entries_.size()) + (waits ? 1 : 0)) == 0;
    }

    /// Whether any rank was told to stop, or time runs out; the batch that was read is left for
    /// later.
    bool must_stop() {
        auto const reason = watcher_.should_stop();
        if (ranks_.all_sum(reason ? 1 : 0) == 0) return false;
        if (record_) {
            log_.stopped(reason.value_or("a signal to another rank"), record_->progress().results,
                         record_->goes_on());
        }
        return true;
    }

    /// Before the weights are read, so that a wrong path costs nothing.
    void open_files() {
        check_paths(options_);
        lines_.emplace(options_.input, io::longest_request_line, watcher_.stop_descriptor());
        record_.emplace(options_, Work::task, session_.tokenizer());
        if (record_->is_complete()) record_->check_complete(identity());
        if (session_.tokenizer() != nullptr) text_.emplace(*session_.tokenizer());
        auto const& config = session_.transformer().config();
        if (!options_.logits.empty()) {
            logits_.emplace(options_.logits, config.vocabulary);
            logits_sink_.emplace(*logits_);
        }
        if (!options_.image_features.empty()) {
            if (!config.vision) {
                throw kernels::InputError("--image-features: " + options_.model +
                                          " is a model that takes no pictures");
            }
            features_.emplace(options_.image_features, config.hidden);
            feature_sink_.emplace(*features_);
        }
    }

    /// Every rank learns whether the run that goes on left anything to do, and its limits.
    std::optional<model::BatchLimits> limits_before() {
        struct Before {
            bool there = false;
            model::BatchLimits limits;
        } before;
        if (auto const limits = record_ ? record_->limits_before() : std::nullopt) {
            before = {true, *limits};
        }
        ranks_.broadcast(std::as_writable_bytes(std::span(&before, 1)), 0);
        return before.there ? std::optional(before.limits) : std::nullopt;
    }

    io::RunIdentity identity() const {
        auto identity = session_.identity();
        identity.bound["task"] = Work::task == io::Task::score ? "score" : "generate";
        return identity;
    }

    void start() {
        auto const remark = record_->start(identity());
        reader_->skip(Work::task, record_->progress().lines);
        if (!remark.empty()) log_.resumed(remark);
    }

    model::BatchTools tools() {
        return {.eos_ids = session_.eos_ids(),
                .text = text_ ? &*text_ : nullptr,
                .logits = logits_sink_ ? &*logits_sink_ : nullptr,
                .features = feature_sink_ ? &*feature_sink_ : nullptr};
    }

    void read_batch() {
        kernels::Phase const phase("reading requests");
        entries_.clear();
        requests_.clear();
        // Lines in error take no slot; the bound on them keeps a file of nothing else from filling
        // the memory.
        std::size_t const slots = session_.limits().batch, most_lines = 16 * slots + 1024;
        while (requests_.size() < slots && entries_.size() < most_lines) {
            auto next = Work::next(*reader_, slots - requests_.size());
            if (next.empty()) break;
            for (auto& line : next) take(std::move(line));
        }
    }

    void take(io::ReadLine<Request>&& next) {
        if (auto* error = std::get_if<io::RequestError>(&next.content)) {
            entries_.emplace_back(std::move(*error));
            return;
        }
        auto& request = std::get<Request>(next.content);
        try {
            if (logits_ || features_) io::LogitsFile::check_id(request.id);
            entries_.emplace_back(requests_.size());
            requests_.push_back(std::move(request));
        } catch (kernels::InputError const& error) {
            auto const message = "line " + std::to_string(next.line) + ": " + error.what();
            entries_.emplace_back(io::RequestError{request.id, next.line, message});
        }
    }

    void write_batch(std::vector<Result> const& results) {
        kernels::Phase const phase("writing results", kernels::Phase::Pace::open);
        if (logits_sink_) logits_sink_->check();
        if (feature_sink_) feature_sink_->check();
        std::size_t tokens = 0;
        auto& writer = record_->writer();
        for (auto const& entry : entries_) {
            if (auto const* error = std::get_if<io::RequestError>(&entry)) {
                writer.write(*error);
                continue;
            }
            std::size_t const index = std::get<std::size_t>(entry);
            writer.write(requests_[index], results[index]);
            if (logits_) logits_->finish(requests_[index].id);
            tokens += Work::tokens(requests_[index], results[index]);
        }
        record_->batch_done(reader_->line());
        log_.batch_done(requests_.size(), tokens);
    }

    void commit() {
        kernels::Phase const phase("writing results", kernels::Phase::Pace::open);
        if (logits_) logits_->commit();
        if (features_) features_->commit();
        record_->commit();
    }

    RunOptions const& options_;
    parallel::MpiCommunicator& ranks_;
    RunLog log_;
    StopWatcher watcher_;
    ModelSession session_;
    std::optional<RunRecord> record_;
    bool all_done_ = false;  ///< by an earlier run
    std::optional<io::TextStreamFactory> text_;
    std::optional<io::LogitsFile> logits_;
    std::optional<FileLogitsSink> logits_sink_;
    std::optional<io::FeaturesFile> features_;
    std::optional<FileFeatureSink> feature_sink_;
    std::optional<io::LineReader> lines_;  ///< until reader_ has them
    std::optional<io::RequestReader> reader_;
    std::vector<Entry> entries_;
    std::vector<Request> requests_;
};

}  // namespace tesserank::app
