#pragma once

#include "io/journal/journal.hpp"
#include "io/requests/output_file.hpp"
#include "io/requests/request_line.hpp"
#include "model/request.hpp"

#include <cstddef>
#include <string>

namespace tesserank::io {

class Tokenizer;

/// Writes one JSON line per result, in any order. The lines of generate:
///
///     {"id": "a", "text": "...", "tokens": [5, 6], "finish_reason": "stop", "prompt_tokens": 5,
///      "logprobs": [-0.5, -1.25], "top_logprobs": [[{"token": 5, "logprob": -0.5}], [...]]}
///
/// with logprobs and top_logprobs only where the request asked for them, and text null where the
/// model has no tokenizer. The lines of score:
///
///     {"id": "a", "prompt_tokens": 5, "completion_tokens": 2, "tokens": [5, 6],
///      "logprobs": [-0.5, -1.25], "sum_logprob": -1.75}
///
/// Numbers have as many digits as give back the same float. A log-probability that is not finite
/// (JSON has no word for it) is null, and so is a sum with one. Bytes that are not UTF-8 become
/// U+FFFD. A request that failed:
///
///     generate  {"id": "a", "text": "", "tokens": [], "finish_reason": "error",
///                "prompt_tokens": 0, "error": "line 7: ..."}
///     score     {"id": "a", "error": "line 7: ..."}
///
/// where id is null if the line has none.
class ResultWriter {
  public:
    /// `path` "-" is standard output. Borrows `tokenizer`, which may be null. Goes on behind what
    /// `done` says is in the partial file already.  Errors: InputError if no file can be made
    /// there, or what is to be kept is not there.
    ResultWriter(std::string const& path, Task task, Tokenizer const* tokenizer,
                 RunProgress const& done = {});

    /// Errors of all of these: SystemError naming the path if it cannot be written.
    void write(model::GenerateRequest const& request, model::GenerateResult const& result);
    void write(model::ScoreRequest const& request, model::ScoreResult const& result);
    void write(RequestError const& error);

    /// Waits until all lines so far are on the disk, where they stay whatever happens.
    void make_durable() { file_.make_durable(); }
    /// How much was written; which lines of the input it is about is the caller's to add.
    RunProgress progress() const;
    /// Makes the file durable and gives it its name. Without it nothing is left at `path`.
    void commit();

    /// A device or a pipe is written: nothing of it can be kept.
    bool is_stream() const { return file_.is_stream(); }

  private:
    void put(std::string line);

    OutputFile file_;
    Task task_;
    Tokenizer const* tokenizer_;
    std::size_t results_ = 0, errors_ = 0;
};

}  // namespace tesserank::io
