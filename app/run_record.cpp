#include "app/run_record.hpp"

#include "io/input_file.hpp"
#include "io/journal/running_hash.hpp"
#include "io/requests/partial_file.hpp"
#include "kernels/error.hpp"

#include <charconv>
#include <filesystem>
#include <utility>

namespace tesserank::app {
namespace {

using kernels::InputError;

bool is_stream(std::string const& path) { return path == "-" || io::is_special_file(path); }

/// Why a run cannot be continued; empty when it can.
std::string obstacle(RunOptions const& options) {
    if (is_stream(options.output)) return "the output is not a file";
    if (is_stream(options.input)) return "the input is not a file";
    if (!options.logits.empty()) return "a file of logits cannot be continued";
    if (!options.image_features.empty()) return "a file of features cannot be continued";
    return "";
}

/// Whether the output has its name and holds what the journal speaks of.
bool is_in_place(std::string const& output, io::RunProgress const& done) {
    std::error_code error;
    auto const bytes = std::filesystem::file_size(output, error);
    return !error && bytes == done.output_bytes &&
           io::hash_of_file(output, done.output_bytes).digest() == done.output_hash;
}

std::string content_of(std::string const& path) {
    return io::hash_of_file(path, io::InputFile(path).bytes()).digest();
}

std::size_t number_of(io::RunIdentity::Facts const& facts, std::string_view name) {
    auto const found = facts.find(name);
    std::size_t number = 0;
    if (found != facts.end()) {
        auto const& text = found->second;
        std::from_chars(text.data(), text.data() + text.size(), number);
    }
    return number;
}

}  // namespace

bool RunRecord::can_go_on(RunOptions const& options) { return obstacle(options).empty(); }

RunRecord::RunRecord(RunOptions const& options, io::Task task, io::Tokenizer const* tokenizer) {
    auto const why_not = obstacle(options);
    bool const must = options.resume == "must";
    if (!why_not.empty()) {
        if (must) throw InputError("--resume must: " + why_not);
        writer_.emplace(options.output, task, tokenizer);
        return;
    }
    input_hash_ = content_of(options.input);
    journal_path_ = io::journal_of(options.output);
    if (options.resume != "no") {
        earlier_ = io::read_journal(journal_path_);
        if (!earlier_) check_nothing_is_lost(options.output);
    }
    if (must && !earlier_) {
        throw InputError("--resume must: " + journal_path_ + " is not there: no run to go on with");
    }
    open(options, task, tokenizer);
}

/// A run is killed while it writes its journal's first line only before it has results.
void RunRecord::check_nothing_is_lost(std::string const& output) const {
    std::error_code no_file;
    auto const partial = io::PartialFile(output).partial();
    auto const bytes = std::filesystem::file_size(partial, no_file);
    if (no_file || bytes == 0 || !std::filesystem::exists(journal_path_, no_file)) return;
    throw InputError(journal_path_ + " is damaged, though there are results in " + partial +
                     "; give --resume no to start anew");
}

RunRecord::~RunRecord() {
    std::error_code ignored;
    if (journal_ && progress_.output_bytes == 0) std::filesystem::remove(journal_path_, ignored);
}

void RunRecord::open(RunOptions const& options, io::Task task, io::Tokenizer const* tokenizer) {
    if (earlier_) progress_ = earlier_->progress;
    if (is_complete() && is_in_place(options.output, progress_)) return;
    try {
        writer_.emplace(options.output, task, tokenizer, progress_);
    } catch (io::FileInUse const&) {
        throw;
    } catch (InputError const& error) {
        if (!earlier_) throw;
        throw InputError(std::string(error.what()) + " (" + journal_path_ +
                         " says that a run is to go on there; --resume no starts anew)");
    }
    // Only now that no other process writes there: it has this journal.
    if (earlier_) {
        journal_.emplace(journal_path_, *earlier_);
    } else {
        std::error_code ignored;
        std::filesystem::remove(journal_path_, ignored);
    }
}

std::optional<model::BatchLimits> RunRecord::limits_before() const {
    if (!earlier_) return std::nullopt;
    auto const& bound = earlier_->identity.bound;
    return model::BatchLimits{.batch = number_of(bound, "batch"),
                              .max_length = number_of(bound, "max-length")};
}

void RunRecord::check_same(io::RunIdentity const& identity) const {
    auto const differs = io::difference(earlier_->identity.bound, identity.bound);
    if (differs.empty()) return;
    throw InputError(journal_path_ + " is of another run: " + differs +
                     ". Run it as before, or start anew with --resume no");
}

void RunRecord::check_complete(io::RunIdentity identity) const {
    identity.bound["input"] = input_hash_;
    // They are settled when the model is loaded, which is not needed any more.
    for (auto const* const name : {"batch", "max-length"}) {
        auto const was = earlier_->identity.bound.find(name);
        if (was != earlier_->identity.bound.end()) identity.bound[name] = was->second;
    }
    check_same(identity);
}

std::string RunRecord::start(io::RunIdentity identity) {
    if (journal_path_.empty()) return "";
    identity.bound["input"] = input_hash_;
    if (!earlier_) {
        journal_.emplace(journal_path_, identity);
        return "";
    }
    check_same(identity);
    auto const loosely = io::difference(earlier_->identity.loose, identity.loose);
    std::string const words = "goes on behind line " + std::to_string(progress_.lines);
    return loosely.empty() ? words : words + "; last bits may differ: " + loosely;
}

void RunRecord::batch_done(std::size_t lines) {
    if (journal_ || writer_->is_stream()) writer_->make_durable();
    auto done = writer_->progress();
    done.batches = progress_.batches + 1;
    done.lines = lines;
    progress_ = done;
    if (journal_) journal_->append(progress_);
}

void RunRecord::commit() {
    if (journal_ && !progress_.complete) {
        writer_->make_durable();
        auto done = writer_->progress();
        done.batches = progress_.batches;
        done.lines = progress_.lines;
        done.complete = true;
        progress_ = done;
        journal_->append(progress_);
    }
    if (writer_) writer_->commit();
    if (journal_) {
        journal_->remove();
    } else if (!writer_) {
        std::filesystem::remove(journal_path_);
    }
}

}  // namespace tesserank::app
