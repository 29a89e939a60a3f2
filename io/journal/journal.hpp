#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace tesserank::io {

/// What a run's results follow from: names and values. Two runs that agree in both maps give the
/// same bytes.
struct RunIdentity {
    using Facts = std::map<std::string, std::string, std::less<>>;
    Facts
        bound;  ///< input, model, settings: with another value the results are not the same work's
    Facts loose;  ///< rank count, placement, backend: with another value last bits may differ
};

/// How far a run has come. All results counted here are durable in the output file.
struct RunProgress {
    std::size_t batches = 0;
    std::size_t lines = 0;  ///< of the input that have been read
    std::size_t results = 0, errors = 0;
    std::size_t output_bytes = 0;
    std::string output_hash;  ///< RunningHash of these bytes
    bool complete = false;    ///< nothing is left of the input
    bool operator==(RunProgress const&) const = default;
};

/// What a journal says: what the run is about, and how far it had come.
struct JournalContent {
    RunIdentity identity;
    RunProgress progress;
    std::size_t bytes = 0;  ///< of the journal that hold it; what is behind was not written whole
};

/// Where the journal of a run with this output is: beside the file that a link leads to, so that
/// every name of it finds it.
std::string journal_of(std::string const& output);

/// nullopt when there is no journal, or one that was killed before its first line was durable.
/// Errors: InputError naming the line when it is damaged or of a newer format.
std::optional<JournalContent> read_journal(std::string const& path);

/// What differs between a journal and a run that is to continue it; empty when nothing does.
std::string difference(RunIdentity::Facts const& journal, RunIdentity::Facts const& run);

/// Says durably, behind the results themselves, how far a run has come. A text file: one JSON
/// object in a line, behind the XXH3-64 of its bytes in hexadecimal, so that a line that was not
/// written whole is known; first the identity, then a line for each batch. One that is made anew
/// says in its first line how far the run has come.
class Journal {
  public:
    /// A new one in place of an old one. Errors of all of these: SystemError naming the path.
    Journal(std::string path, RunIdentity identity);
    /// Goes on with one that was read.
    Journal(std::string path, JournalContent const& content);
    ~Journal();
    Journal(Journal&& other) noexcept;
    Journal& operator=(Journal&&) = delete;

    /// Returns when the line is on the disk. A journal that somebody has removed meanwhile is made
    /// anew.
    void append(RunProgress const& progress);
    /// The run is over and its output has its name.
    void remove();

  private:
    void make(RunProgress const& progress);
    void write_line(std::string_view json);
    [[noreturn]] void fail(char const* what) const;

    std::string path_;
    RunIdentity identity_;
    int descriptor_ = -1;
};

}  // namespace tesserank::io
